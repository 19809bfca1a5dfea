import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import { retrying } from "@servable/client";
import { StatusError } from "@servable/errors";
import { dataDirOf, targetOf, withTarget, type CommonOptions } from "../common-options.ts";
import { callPredict } from "../predict-call.ts";
import { renderTraceTree } from "../render/trace-tree.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { readSpans } from "../trace-files.ts";

/** Services write their spans a moment after the call. */
const SPANS_WAIT_MS = 600;

interface PredictOptions extends Omit<CommonOptions, "json"> {
  /** Alone: print JSON. With a value: the body. */
  readonly json?: boolean | string;
  readonly input?: string;
  readonly trace?: boolean;
}

/** `servable predict`: one call as a person would make it. */
export function predictCommand(terminal: Terminal): Command {
  return withTarget(new Command("predict"))
    .description("Call a deployed model over REST.")
    .argument("<model>", "name of the deployment")
    .argument("[values...]", "inputs of one instance as key=value")
    .option("--json [body]", "with a value: the request's JSON; alone: print JSON for scripts")
    .option("--input <file>", 'file with the request\'s JSON; "-" reads standard input')
    .option("--trace", "draw the call's trace (the platform must run with --trace)")
    .addHelpText(
      "after",
      `
Every input of the model is needed; NAME=null says that a value is missing.
A JSON list is taken as the instances, an object without "instances", "inputs" or "input_data" as one instance.

Examples:
  $ servable predict iris sepal_length=5.1 sepal_width=3.5 petal_length=null petal_width=0.2
  $ servable predict house --json '{"instances": [{"city": "Bern", "rooms": 4}, {"city": "Basel", "rooms": 2}]}'
  $ servable predict digits --input image.json        # {"input_data": 28×28×1 pixels}`,
    )
    .action((model: string, values: string[], options: PredictOptions) => predict(model, values, options, terminal));
}

async function predict(model: string, values: readonly string[], options: PredictOptions, terminal: Terminal): Promise<void> {
  const { json, input } = options;
  // `--json species=a` was meant as the flag and a value.
  const stray = typeof json === "string" && !/^\s*[[{]/.test(json) ? [json] : [];
  const text = input !== undefined ? readInput(input) : typeof json === "string" && stray.length === 0 ? json : undefined;
  const body = text === undefined ? bodyOfValues([...stray, ...values]) : bodyOfText(text);
  const { httpAddress, apiKey, retry } = targetOf(options, terminal.env);
  const traceId = randomBytes(16).toString("hex");
  const traceparent = options.trace === true ? `00-${traceId}-${randomBytes(8).toString("hex")}-01` : undefined;
  const answer = await retrying(() => callPredict({ httpAddress, apiKey, model, body, traceparent }), retry).catch((error: unknown) => {
    if (!(error instanceof StatusError) || error.reason !== "MODEL_NOT_FOUND") throw error;
    throw new StatusError(error.reason, `no model "${model}" is served: see what is with \`servable status\`, or serve it with \`servable deploy ${model}\``, { metadata: { model }, cause: error });
  });
  if (json !== undefined) printJson(terminal, answer);
  else for (const line of answerLines(answer)) printLine(terminal, line);
  if (traceparent !== undefined) {
    await sleep(SPANS_WAIT_MS);
    const spans = readSpans(join(dataDirOf(options, terminal.env), "traces")).filter((span) => span.traceId === traceId);
    printLine(terminal, `\ntrace ${traceId}\n${renderTraceTree(spans)}`);
  }
}

/** One instance out of `key=value` arguments. @throws StatusError `FIELD_INVALID` */
export function bodyOfValues(values: readonly string[]): unknown {
  if (values.length === 0) throw new StatusError("FIELD_REQUIRED", "nothing to predict: give key=value pairs, --json '{…}' or --input FILE");
  const instance = values.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 1) throw new StatusError("FIELD_INVALID", `"${pair}" is not of the form key=value`, { metadata: { field: pair } });
    return [pair.slice(0, equals), valueOf(pair.slice(equals + 1))] as const;
  });
  return { instances: [Object.fromEntries(instance)] };
}

/** A request body out of JSON text. @throws StatusError `JSON_MALFORMED` */
export function bodyOfText(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new StatusError("JSON_MALFORMED", `the input is not valid JSON: ${(error as Error).message}`, { cause: error });
  }
  if (Array.isArray(value)) return { instances: value };
  if (typeof value !== "object" || value === null) throw new StatusError("JSON_MALFORMED", "the input must be a JSON object or list");
  return ["instances", "inputs", "input_data"].some((key) => key in value) ? value : { instances: [value] };
}

/** Numbers, true, false, null and lists are meant as such; everything else is a text. */
function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function readInput(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function answerLines(answer: unknown): string[] {
  const predictions = typeof answer === "object" && answer !== null && "predictions" in answer ? answer.predictions : undefined;
  return Array.isArray(predictions) ? predictions.map((prediction) => JSON.stringify(prediction)) : [JSON.stringify(answer)];
}
