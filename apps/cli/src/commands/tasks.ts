import { readFileSync } from "node:fs";
import { toJson, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Command } from "commander";
import { ClassifyImageResponseSchema, ClassifyTextResponseSchema, DetectSpeechResponseSchema, EmbedTextResponseSchema, ReadTextResponseSchema } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { numberWithin, wholeNumber } from "../option-parsers.ts";
import { clock, labelRows, vectorText } from "../render/task-answers.ts";
import { renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface TaskCommandOptions extends CommonOptions {
  readonly version?: string;
  readonly top?: number;
}

/** Listening to a long recording takes its time. */
const SPEECH_TIMEOUT_MS = 15 * 60_000;
const MANIFEST_HELP = "The model needs a servable.yaml that declares the task; examples/tasks has one for each, docs/guides/tasks.md explains them.";

function taskCommand(name: string, description: string, examples: string): Command {
  return withCommonOptions(new Command(name))
    .description(description)
    .argument("<model>", "name of the deployment")
    .option("--version <number>", "version (default: the newest)")
    .addHelpText("after", `\n${MANIFEST_HELP}\n\nExamples:\n${examples.split("\n").map((line) => `  $ ${line}`).join("\n")}`);
}

/** `servable classify-image`. */
export function classifyImageCommand(terminal: Terminal): Command {
  return taskCommand("classify-image", "Say what a picture shows.", "servable models import mobilenet/model.onnx --name mobilenet && servable deploy mobilenet\nservable classify-image mobilenet cat.jpg\nservable classify-image mobilenet cat.jpg dog.png --top 3 --json")
    .argument("<pictures...>", "JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP files")
    .option("--top <count>", "labels to show (default: as many as the model's manifest says)", wholeNumber(1))
    .action((model: string, pictures: string[], options: TaskCommandOptions) =>
      withClient(options, terminal, async (client) => {
        const answers = [];
        for (const picture of pictures) answers.push(await client.tasks.classifyImage(picture, { model, version: options.version, topK: options.top }));
        if (options.json) return print(terminal, ClassifyImageResponseSchema, answers);
        answers.forEach(({ labels }, index) => {
          if (pictures.length > 1) printLine(terminal, `${index > 0 ? "\n" : ""}${pictures[index] ?? ""}`);
          printLine(terminal, renderTable(["label", "probability"], labelRows(labels)));
        });
      }),
    );
}

/** `servable classify-text`. */
export function classifyTextCommand(terminal: Terminal): Command {
  return textCommand("classify-text", "Say which labels fit a text.", 'servable classify-text intents "my card has not arrived yet"\nservable classify-text intents --file questions.txt --top 1\necho "I forgot my passcode" | servable classify-text intents --file -')
    .option("--top <count>", "labels to show (default: as many as the model's manifest says)", wholeNumber(1))
    .action((model: string, texts: string[], options: TaskCommandOptions & { file?: string }) =>
      withClient(options, terminal, async (client) => {
        const all = textsOf(texts, options.file);
        const answer = await client.tasks.classifyText(all, { model, version: options.version, topK: options.top });
        if (options.json) return print(terminal, ClassifyTextResponseSchema, [answer]);
        answer.results.forEach(({ labels, truncated }, index) => {
          if (all.length > 1) printLine(terminal, `${index > 0 ? "\n" : ""}${shortened(all[index] ?? "")}`);
          printLine(terminal, renderTable(["label", "probability"], labelRows(labels)));
          if (truncated) printLine(terminal, "(the end of the text was cut off)");
        });
      }),
    );
}

/** `servable embed`. */
export function embedCommand(terminal: Terminal): Command {
  return textCommand("embed", "Turn texts into vectors; of several texts also how close they are.", 'servable embed sentences "the weather is fine" "it is sunny"\nservable embed sentences --file questions.txt --json > vectors.json')
    .option("--dimensions <count>", "keep only the first numbers of each vector", wholeNumber(1))
    .action((model: string, texts: string[], options: TaskCommandOptions & { file?: string; dimensions?: number }) =>
      withClient(options, terminal, async (client) => {
        const all = textsOf(texts, options.file);
        const answer = await client.tasks.embedText(all, { model, version: options.version, dimensionCount: options.dimensions });
        if (options.json) return print(terminal, EmbedTextResponseSchema, [answer]);
        const { embeddings } = answer;
        const [first] = embeddings;
        const rows = embeddings.map(({ values }, index) => [shortened(all[index] ?? ""), vectorText(values), ...(all.length > 1 && first !== undefined ? [cosine(first.values, values).toFixed(3)] : [])]);
        printLine(terminal, renderTable(["text", `vector of ${first?.values.length ?? 0}`, ...(all.length > 1 ? ["likeness to the first"] : [])], rows));
      }),
    );
}

/** `servable detect-speech`. */
export function detectSpeechCommand(terminal: Terminal): Command {
  return taskCommand("detect-speech", "Find the parts of a recording in which somebody speaks.", "servable detect-speech vad meeting.wav\nservable detect-speech vad meeting.wav --threshold 0.8 --json")
    .argument("<recording>", "WAV file")
    .option("--threshold <probability>", "from which probability on a moment is speech (default: as the manifest says)", numberWithin(0, 1))
    .action((model: string, recording: string, options: TaskCommandOptions & { threshold?: number }) =>
      withClient(options, terminal, async (client) => {
        const answer = await client.tasks.detectSpeech(recording, { model, version: options.version, threshold: options.threshold, timeoutMs: SPEECH_TIMEOUT_MS });
        if (options.json) return print(terminal, DetectSpeechResponseSchema, [answer]);
        const { segments, audioMs, speechMs } = answer;
        if (segments.length > 0) printLine(terminal, renderTable(["from", "to", "probability"], segments.map(({ startMs, endMs, probability }) => [clock(startMs), clock(endMs), probability.toFixed(2)])));
        printLine(terminal, `${clock(speechMs)} of ${clock(audioMs)} is speech, in ${segments.length} parts`);
      }),
    );
}

/** `servable read-text`. */
export function readTextCommand(terminal: Terminal): Command {
  return taskCommand("read-text", "Read the text in a picture.", "servable read-text ocr-page invoice.png\nservable read-text ocr-page invoice.png --json       # with places and probabilities")
    .argument("<picture>", "JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP file")
    .action((model: string, picture: string, options: TaskCommandOptions) =>
      withClient(options, terminal, async (client) => {
        const answer = await client.tasks.readText(picture, { model, version: options.version });
        if (options.json) return print(terminal, ReadTextResponseSchema, [answer]);
        printLine(terminal, answer.lines.length === 0 ? "(no text found)" : answer.text);
      }),
    );
}

function textCommand(name: string, description: string, examples: string): Command {
  return taskCommand(name, description, examples).argument("[texts...]", "texts").option("--file <file>", 'one text a line; "-" reads standard input');
}

function textsOf(texts: readonly string[], file: string | undefined): string[] {
  if (file === undefined) {
    if (texts.length === 0) throw new StatusError("FIELD_REQUIRED", "there is no text: write it behind the model's name, or give --file FILE");
    return [...texts];
  }
  try {
    const lines = readFileSync(file === "-" ? 0 : file, "utf8").split(/\r?\n/);
    return [...texts, ...lines.filter((line) => line.trim() !== "")];
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** One answer as it is, several as a list. */
function print<D extends DescMessage>(terminal: Terminal, schema: D, answers: readonly MessageShape<D>[]): void {
  const json = answers.map((answer) => toJson(schema, answer, { alwaysEmitImplicit: true }));
  printJson(terminal, json.length === 1 ? json[0] : json);
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b) || 1);
}
