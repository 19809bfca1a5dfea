// Callers may send a picture or a sentence to models whose servable.yaml says how to read one. What comes out is an ordinary
// request, and beside it what people need to see its explanation: the picture as the model saw it, the words behind the ids.

import { StatusError } from "@servable/errors";
import type { ImageDecoder, ImageSpec, Picture } from "@servable/images";
import type { NamedTensor } from "@servable/runtime";
import { elementCount, tensorOf, typedArrayOf, type Tensor } from "@servable/tensor";
import type { EncodedText } from "@servable/tokenizers";
import type { InferRequest } from "../executors/executor.ts";
import { batchless } from "../tasks/batchless.ts";
import { pickTensor } from "../tasks/run-model.ts";
import { tokensMaxOf } from "../tasks/run-texts.ts";
import { decodeImage, idTensors, imageSpecOf } from "../tasks/steps.ts";
import { taskFilesOf } from "../tasks/task-files.ts";
import type { TaskModel } from "../tasks/task-model.ts";
import type { ExplainOptions } from "./explain-options.ts";

/** A request made of what a caller sent, and how to show its explanation. */
export interface ExplainSubject {
  readonly request: InferRequest;
  /** The caller's options, completed by what the manifest says. */
  readonly options: ExplainOptions;
  /** Names of the output's elements. */
  readonly labels: readonly string[];
  readonly picture?: Picture;
  readonly tokens?: readonly SeenToken[];
}

/** A token and where it stands in the text; start -1 = nowhere. */
export interface SeenToken {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A picture for a model of image-classification. @throws StatusError `TASK_NOT_DECLARED`, `IMAGE_INVALID` */
export async function subjectOfImage(images: ImageDecoder, model: TaskModel, file: Uint8Array, options: ExplainOptions, signal: AbortSignal): Promise<ExplainSubject> {
  const files = await taskFilesOf(model, "image-classification");
  const { image, classification } = files.manifest;
  if (image === undefined || classification === undefined) throw new TypeError("a manifest of image-classification has both sections");
  const input = pickTensor(model, "inputs", image.input, "image.input");
  const output = pickTensor(model, "outputs", classification.output, "classification.output");
  const spec = imageSpecOf(image, input);
  const tensor = await decodeImage(images, [file], spec, signal);
  return {
    request: requestOf([batchless({ name: input.name, ...tensor }, input)]),
    options: { ...options, output: options.output ?? output.name, inputs: [input.name] },
    labels: await files.labels(),
    picture: pictureOf(tensor, spec),
  };
}

/** A sentence for a model of text-classification. @throws StatusError `TASK_NOT_DECLARED`, `TOKENIZER_INVALID`, `FIELD_INVALID` */
export async function subjectOfText(model: TaskModel, text: string, options: ExplainOptions): Promise<ExplainSubject> {
  const files = await taskFilesOf(model, "text-classification");
  const { tokenizer: section, classification } = files.manifest;
  if (section === undefined || classification === undefined) throw new TypeError("a manifest of text-classification has both sections");
  const tokenizer = await files.tokenizer();
  const output = pickTensor(model, "outputs", classification.output, "classification.output", ["logits"]);
  const prefix = section.prefix.length;
  const [encoded] = tokenizer.encode([section.prefix + text], { tokensMax: tokensMaxOf(model, section, tokenizer), specialTokens: section.specialTokens, offsets: true, padding: "none" }).texts;
  if (encoded === undefined || encoded.special.every((special) => special)) throw new StatusError("FIELD_INVALID", "text has no token for this model: send a text with words", { metadata: { field: "text" } });

  const find = (name: string) => model.signature.inputs.find((spec) => spec.name === name);
  const ids = pickTensor(model, "inputs", section.inputs.ids, "tokenizer.inputs.ids");
  const [mask, types] = [find(section.inputs.mask), find(section.inputs.types)];
  const [, fixed = -1] = ids.shape;
  const width = fixed > 0 ? fixed : encoded.ids.length;
  const tensors = idTensors([encoded], { padId: tokenizer.padId, width, inputs: { ids, ...(mask && { mask }), ...(types && { types }) } });
  const baselines = options.baseline === "zero_embedding" ? new Map<string, Tensor>() : new Map([[ids.name, baselineOfIds(tensors, ids.name, encoded, blankOf(options, tokenizer.padId))]]);
  return {
    request: requestOf(tensors),
    options: { ...options, output: options.output ?? output.name, inputs: [ids.name], baselines },
    labels: await files.labels(),
    tokens: encoded.tokens.map((token, index) => {
      const [start, end] = encoded.offsets?.[index] ?? [0, 0];
      const nowhere = encoded.special[index] === true || end <= prefix;
      return nowhere ? { text: token, start: -1, end: -1 } : { text: text.slice(Math.max(start - prefix, 0), end - prefix), start: Math.max(start - prefix, 0), end: end - prefix };
    }),
  };
}

/** What stands in the place of a word that is hidden. */
function blankOf({ baseline }: ExplainOptions, padId: number): number {
  if (typeof baseline === "number") return baseline;
  if (baseline === "zeros") return padId;
  throw new StatusError("FIELD_INVALID", `baseline is "${baseline}": for a text it must be "zeros" (the pad token), "zero_embedding" or the number of a token`, { metadata: { field: "baseline" } });
}

/** Blanks between the special tokens, which say nothing of the text. */
function baselineOfIds(tensors: readonly NamedTensor[], name: string, encoded: EncodedText, blank: number): Tensor {
  const ids = tensors.find((tensor) => tensor.name === name) as NamedTensor;
  const values = Array.from(typedArrayOf(ids) as ArrayLike<number | bigint>, Number);
  return tensorOf(ids.datatype, ids.shape, values.map((value, index) => (encoded.special[index] === false ? blank : value)));
}

/** The pixels behind a model's numbers: what was cut off and shrunk is gone, so this is what the model saw. */
function pictureOf(tensor: Tensor, { width, height, layout, colors, scale, mean, std }: ImageSpec): Picture {
  const values = typedArrayOf(tensor) as ArrayLike<number>;
  const channels = elementCount(tensor.shape, "picture") / (width * height);
  const rgb = new Uint8ClampedArray(width * height * 3);
  const pick = (list: readonly number[], channel: number): number => list[list.length === 1 ? 0 : channel] ?? 0;
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let color = 0; color < 3; color++) {
      const channel = channels === 1 ? 0 : colors === "bgr" ? 2 - color : color;
      const value = values[layout === "nchw" ? channel * width * height + pixel : pixel * channels + channel] ?? 0;
      rgb[pixel * 3 + color] = (value * pick(std, channel) + pick(mean, channel)) / scale;
    }
  }
  return { width, height, rgb: new Uint8Array(rgb.buffer) };
}

function requestOf(inputs: readonly NamedTensor[]): InferRequest {
  return { id: "", inputs, outputs: [], batchSize: 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined };
}
