import { readFileSync, writeFileSync } from "node:fs";
import { basename, extname } from "node:path";
import { toJson } from "@bufbuild/protobuf";
import { Command, Option } from "commander";
import { EXPLAIN_METHODS, type ExplainOptions as ExplainCall } from "@servable/client";
import { ExplainMethod, ExplainResponseSchema, type ExplainResponse, type Explanation } from "@servable/contracts/inference/v1/explanation";
import { StatusError } from "@servable/errors";
import { targetOf, withClient, withTarget, type CommonOptions } from "../common-options.ts";
import { wholeNumber } from "../option-parsers.ts";
import { callGateway } from "../predict-call.ts";
import { heatMap } from "../render/heat-map.ts";
import { encodePng } from "../render/png.ts";
import { renderTable } from "../render/table.ts";
import { coloredText, explanationPage, type WeightedToken } from "../render/weighted-tokens.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { bodyOfText, bodyOfValues } from "./predict.ts";

interface ExplainOptions extends CommonOptions {
  readonly version?: string;
  readonly image?: string;
  readonly text?: string;
  readonly input?: string;
  readonly method: keyof typeof EXPLAIN_METHODS;
  readonly outputName?: string;
  readonly target?: number;
  readonly steps?: number;
  readonly baseline?: string;
  readonly baselineRow?: string;
  readonly seed?: number;
  readonly out?: string;
  readonly json?: boolean;
}

/** Elements that the table of numbers shows. */
const ROWS_MAX = 20;
const METHOD_NAMES: Readonly<Record<ExplainMethod, string>> = { [ExplainMethod.UNSPECIFIED]: "?", [ExplainMethod.AUTO]: "auto", [ExplainMethod.INTEGRATED_GRADIENTS]: "Integrated Gradients", [ExplainMethod.OCCLUSION]: "occlusion", [ExplainMethod.SHAPLEY]: "sampled Shapley values" };

/** `servable explain`: why a model gave its answer. */
export function explainCommand(terminal: Terminal): Command {
  return withTarget(new Command("explain"))
    .description("Say which parts of the input made a model give its answer.")
    .argument("<model>", "name of the deployment")
    .argument("[values...]", "inputs of one example as key=value")
    .option("--image <file>", "a picture, for models with a servable.yaml of image-classification; writes a heat-map")
    .option("--text <text>", "a text, for models with a servable.yaml of text-classification")
    .option("--input <file>", "file with the example's JSON, as of `servable predict`")
    .addOption(new Option("--method <method>", "how").choices(Object.keys(EXPLAIN_METHODS)).default("auto"))
    .option("--version <number>", "version (default: the newest)")
    .option("--output-name <name>", "output whose number is explained (default: the first of real numbers, or as the manifest says)")
    .option("--target <index>", "index of the number, e.g. a class (default: the largest)", wholeNumber(0))
    .option("--steps <count>", "points of the path (ig) or orders (shapley)", wholeNumber(1))
    .option("--baseline <kind>", "what hidden parts become: zeros, mean, blur, zero_embedding or a number (default: zeros, for texts the pad token)")
    .option("--baseline-row <json>", "for columns: an example to hold this one against, as JSON")
    .option("--seed <number>", "seed of shapley's orders", wholeNumber(0))
    .option("--out <file>", "where to write the heat-map (.png), or the page of a text (.html)")
    .option("--json", "print JSON for scripts")
    .addHelpText(
      "after",
      `
Examples:
  $ servable explain mobilenet --image cat.jpg                      # writes cat.explained.png
  $ servable explain intents --text "my card has not arrived" --out card.html
  $ servable explain iris sepal_length=5.1 sepal_width=3.5 petal_length=1.4 petal_width=0.2 --method shapley \\
      --baseline-row '{"sepal_length": 5.8, "sepal_width": 3.1, "petal_length": 3.8, "petal_width": 1.2}'`,
    )
    .action((model: string, values: string[], options: ExplainOptions) => explain(model, values, options, terminal));
}

async function explain(model: string, values: readonly string[], options: ExplainOptions, terminal: Terminal): Promise<void> {
  const { image, text, input } = options;
  const forms = [image, text, input, values.length > 0 ? "" : undefined].filter((form) => form !== undefined);
  if (forms.length !== 1) throw new StatusError("FIELD_REQUIRED", "say what to explain: --image FILE, --text TEXT, --input FILE or key=value pairs, one of them");
  if (image === undefined && text === undefined) return explainNumbers(model, input === undefined ? bodyOfValues(values) : bodyOfText(readFile(input).toString("utf8")), options, terminal);

  const call: ExplainCall = {
    model,
    version: options.version,
    ...(image === undefined ? {} : { image: readFile(image) }),
    ...(text === undefined ? {} : { text }),
    method: options.method,
    output: options.outputName,
    target: options.target,
    steps: options.steps,
    baseline: options.baseline,
    seed: options.seed,
  };
  const response = await withClient(options, terminal, (client) => client.explanations.explain(call));
  if (options.json === true) return printJson(terminal, toJson(ExplainResponseSchema, response));
  const [explanation] = response.explanations;
  if (explanation === undefined) throw new StatusError("INTERNAL", "the answer has no explanation");
  for (const line of summary(response, explanation)) printLine(terminal, line);
  if (image !== undefined) showPicture(response, explanation, options.out ?? `${basename(image, extname(image))}.explained.png`, terminal);
  else showText(model, response, explanation, text ?? "", options.out, terminal);
}

function summary({ method, fallbackReason, output }: ExplainResponse, { target, label, prediction, baselinePrediction, completenessError, steps }: Explanation): string[] {
  const what = label === "" ? `element ${target}` : `"${label}"`;
  return [
    `${what} (${output}) is ${prediction.toPrecision(4)}; for the baseline it is ${baselinePrediction.toPrecision(4)}`,
    `by ${METHOD_NAMES[method]}${steps > 0 ? `, ${steps} ${method === ExplainMethod.SHAPLEY ? "orders" : "points"}` : ""}; ${completenessError.toPrecision(2)} of the difference is not accounted for`,
    ...(fallbackReason === "" ? [] : [`no gradients: ${fallbackReason}`]),
  ];
}

function showPicture({ picture }: ExplainResponse, { attributions: [attribution] }: Explanation, file: string, terminal: Terminal): void {
  if (picture === undefined || attribution === undefined) throw new StatusError("INTERNAL", "the answer has no picture");
  writeFileSync(file, encodePng(heatMap(picture, { shape: attribution.shape.map(Number), values: attribution.values })));
  printLine(terminal, `${file}: the picture as the model saw it; red spoke for the answer, blue against it`);
}

function showText(model: string, response: ExplainResponse, { attributions: [attribution], label, target }: Explanation, text: string, file: string | undefined, terminal: Terminal): void {
  const tokens: WeightedToken[] = response.tokens.map(({ text: token, start, end }, index) => ({ text: token, start, end, weight: attribution?.values[index] ?? 0 }));
  if (terminal.stdout.isTTY === true && terminal.env["NO_COLOR"] === undefined) printLine(terminal, coloredText(text, tokens));
  const rows = tokens.filter(({ weight }) => weight !== 0).sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  printLine(terminal, renderTable(["token", "adds"], rows.slice(0, ROWS_MAX).map(({ text: token, weight }) => [token, signed(weight)])));
  if (file === undefined) return;
  const [explanation] = response.explanations;
  writeFileSync(file, explanationPage(`Why ${model} says ${label === "" ? `class ${target}` : label}`, explanation === undefined ? [] : summary(response, explanation), text, tokens));
  printLine(terminal, `${file}: the text in colours; red spoke for the answer, blue against it`);
}

interface JsonAnswer {
  readonly method: string;
  readonly fallback_reason?: string;
  readonly output: string;
  readonly explanations: readonly {
    readonly target: number;
    readonly label?: string;
    readonly prediction: number;
    readonly baseline_prediction: number;
    readonly completeness_error: number;
    readonly attributions: readonly { readonly input: string; readonly values: readonly number[] }[];
  }[];
}

/** Numbers go over REST: it knows examples by the names of their columns. */
async function explainNumbers(model: string, body: unknown, options: ExplainOptions, terminal: Terminal): Promise<void> {
  const { version, method, outputName: output, target, steps, baseline, seed } = options;
  const { httpAddress, apiKey } = targetOf(options, terminal.env);
  const example = body as Readonly<Record<string, unknown>>;
  const against = options.baselineRow === undefined ? undefined : (bodyOfText(options.baselineRow) as { readonly instances?: readonly unknown[] }).instances?.[0];
  const request = { model, version, baseline_instance: against, method, output, target, steps, baseline, seed, ...("input_data" in example ? { instances: [example["input_data"]] } : example) };
  const answer = (await callGateway({ httpAddress, apiKey, path: "/v1/explain", body: request })) as JsonAnswer;
  if (options.json === true) return printJson(terminal, answer);
  for (const explanation of answer.explanations) {
    printLine(terminal, `${explanation.label ?? `element ${explanation.target}`} (${answer.output}) is ${explanation.prediction.toPrecision(4)}; for the baseline it is ${explanation.baseline_prediction.toPrecision(4)}`);
    printLine(terminal, `by ${answer.method}; ${explanation.completeness_error.toPrecision(2)} of the difference is not accounted for`);
    const rows = explanation.attributions.flatMap(({ input, values }) => values.map((value, index) => ({ name: values.length === 1 ? input : `${input}[${index}]`, value })));
    rows.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    printLine(terminal, renderTable(["input", "adds"], rows.slice(0, ROWS_MAX).map(({ name, value }) => [name, signed(value)])));
  }
  if (answer.fallback_reason !== undefined) printLine(terminal, `no gradients: ${answer.fallback_reason}`);
}

const signed = (value: number): string => `${value < 0 ? "-" : "+"}${Math.abs(value).toPrecision(4)}`;

function readFile(file: string): Buffer {
  try {
    return readFileSync(file === "-" ? 0 : file);
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
