// The steps before and behind a model, each a function of its own: ready-made tasks are made of them, and pipelines take
// them as nodes, so that callers may send a JPEG or a sentence.

import { setImmediate as breathe } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { ImageDecoder, ImageSpec } from "@servable/images";
import type { ClassificationSection, ImageSection } from "@servable/preprocessing";
import type { NamedTensor } from "@servable/runtime";
import type { Datatype, Tensor } from "@servable/tensor";
import type { EncodedText, Tokenizer } from "@servable/tokenizers";
import type { TensorSpec } from "../config/signature.ts";

/** Texts that are tokenised before other work of the service has its turn. */
const TEXTS_AT_ONCE = 32;

/**
 * Files to one tensor: [files, channels, height, width] or [files, height, width, channels].
 *
 * @throws StatusError `IMAGE_INVALID` naming the file's index where there are several
 */
export async function decodeImage(images: ImageDecoder, files: readonly Uint8Array[], spec: ImageSpec, signal?: AbortSignal): Promise<Tensor> {
  const tensors = await Promise.all(
    files.map((file, index) =>
      images.tensor(file, spec, signal).catch((error: unknown) => {
        if (files.length === 1 || !(error instanceof StatusError) || error.reason !== "IMAGE_INVALID") throw error;
        throw new StatusError("IMAGE_INVALID", `picture ${index}: ${error.message}`, { metadata: { index: String(index) }, cause: error });
      }),
    ),
  );
  const [first] = tensors;
  const data = tensors.length === 1 && first !== undefined ? first.data : Buffer.concat(tensors.map((tensor) => tensor.data));
  return { datatype: spec.datatype, shape: [files.length, ...(first?.shape ?? [0, 0, 0])], data };
}

/**
 * What a manifest's image section means for an input of a model: what it leaves out is read from the input's header.
 *
 * @throws StatusError `TASK_MANIFEST_INVALID` where the two contradict each other or both are silent
 */
export function imageSpecOf(section: ImageSection, input: TensorSpec): ImageSpec {
  const refuse = (field: string, what: string): StatusError => new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: image.${field} ${what}: the input "${input.name}" is ${input.datatype} [${input.shape.join(", ")}]`, { metadata: { field: `image.${field}` } });
  const [a, b, c] = input.shape.slice(-3);
  if (a === undefined || b === undefined || c === undefined || input.shape.length > 4) throw refuse("input", "is no picture of channels, height and width");
  const { datatype } = input;
  if (datatype !== "FP32" && datatype !== "FP16" && datatype !== "UINT8") throw refuse("input", "takes no pixels");
  const layout = section.layout ?? (a !== 1 && a !== 3 && (c === 1 || c === 3) ? "nhwc" : "nchw");
  const [channels, height, width] = layout === "nchw" ? [a, b, c] : [c, a, b];
  const sideOf = (field: "height" | "width", fixed: number): number => {
    const stated = section[field];
    if (fixed > 0 && stated !== undefined && stated !== fixed) throw refuse(field, `is ${stated}, not ${fixed}`);
    if (fixed <= 0 && stated === undefined) throw refuse(field, "is missing");
    return fixed > 0 ? fixed : (stated as number);
  };
  const colors = section.colors ?? (channels === 1 ? "gray" : "rgb");
  if (channels > 0 && channels !== (colors === "gray" ? 1 : 3)) throw refuse("colors", `is ${colors}, which does not fit ${channels} channels`);
  const { fit, shortSide, fill, resample, scale, mean, std, background } = section;
  return { width: sideOf("width", width), height: sideOf("height", height), fit, shortSide, fill, resample, colors, layout, datatype, scale, mean, std, background };
}

/** How texts become a model's inputs. */
export interface TokenizeOptions {
  readonly tokensMax: number;
  readonly specialTokens: boolean;
}

/** Tokenises texts, giving others their turn in between. @throws StatusError `FIELD_INVALID` naming the text */
export async function tokenize(tokenizer: Tokenizer, texts: readonly string[], { tokensMax, specialTokens }: TokenizeOptions): Promise<EncodedText[]> {
  const encoded: EncodedText[] = [];
  for (let from = 0; from < texts.length; from += TEXTS_AT_ONCE) {
    if (from > 0) await breathe();
    for (let index = from; index < Math.min(texts.length, from + TEXTS_AT_ONCE); index++) {
      try {
        encoded.push(...tokenizer.encode([texts[index] as string], { tokensMax, specialTokens }).texts);
      } catch (error) {
        if (texts.length === 1 || !(error instanceof StatusError) || error.reason !== "FIELD_INVALID") throw error;
        throw new StatusError("FIELD_INVALID", `texts[${index}]: ${error.message}`, { metadata: { field: `texts[${index}]` }, cause: error });
      }
    }
  }
  return encoded;
}

/** One row of ids a text, padded on the right, with its mask and types; [texts, width] each, in the datatype of the graph. */
export function idTensors(texts: readonly Pick<EncodedText, "ids" | "typeIds">[], { padId, width, inputs }: { padId: number; width: number; inputs: Readonly<Partial<Record<"ids" | "mask" | "types", TensorSpec>>> }): NamedTensor[] {
  const table = (spec: TensorSpec, value: (text: Pick<EncodedText, "ids" | "typeIds">, column: number) => number): NamedTensor => {
    const values = new BigInt64Array(texts.length * width);
    texts.forEach((text, row) => {
      for (let column = 0; column < width; column++) values[row * width + column] = BigInt(value(text, column));
    });
    return { name: spec.name, datatype: spec.datatype, shape: [texts.length, width], data: integersOf(values, spec.datatype) };
  };
  const { ids, mask, types } = inputs;
  return [
    ...(ids === undefined ? [] : [table(ids, (text, column) => text.ids[column] ?? padId)]),
    ...(mask === undefined ? [] : [table(mask, (text, column) => (column < text.ids.length ? 1 : 0))]),
    ...(types === undefined ? [] : [table(types, (text, column) => text.typeIds[column] ?? 0)]),
  ];
}

function integersOf(values: BigInt64Array<ArrayBuffer>, datatype: Datatype): Uint8Array {
  if (datatype === "INT64") return new Uint8Array(values.buffer);
  if (datatype === "INT32") return new Uint8Array(Int32Array.from(values, Number).buffer);
  if (datatype === "FP32") return new Uint8Array(Float32Array.from(values, Number).buffer);
  throw new StatusError("TASK_MANIFEST_INVALID", `token ids cannot be ${datatype}: the model must take INT64 or INT32`, { metadata: { field: "tokenizer.inputs" } });
}

/** One label with its probability. */
export interface LabelScore {
  readonly label: string;
  readonly probability: number;
  readonly index: number;
}

/**
 * The likeliest labels of one row of scores, the likeliest first; equal ones in the order of the classes.
 *
 * @throws StatusError `TASK_MANIFEST_INVALID` where there are not as many labels as scores
 */
export function topKLabels(scores: Float32Array, labels: readonly string[], { scores: kind, topK }: Pick<ClassificationSection, "scores" | "topK">): LabelScore[] {
  if (labels.length !== scores.length) throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: classification.labels has ${labels.length} labels, but the model gives ${scores.length} scores`, { metadata: { field: "classification.labels" } });
  const probabilities = kind === "probabilities" ? scores : kind === "sigmoid" ? scores.map((score) => 1 / (1 + Math.exp(-score))) : softmax(scores);
  return [...probabilities.keys()]
    .sort((a, b) => (probabilities[b] as number) - (probabilities[a] as number) || a - b)
    .slice(0, topK)
    .map((index) => ({ label: labels[index] as string, probability: probabilities[index] as number, index }));
}

/** Exponentials over their sum, shifted so that none overflows. */
export function softmax(scores: Float32Array): Float32Array {
  let largest = -Infinity;
  for (const score of scores) largest = Math.max(largest, score);
  const exponentials = scores.map((score) => Math.exp(score - largest));
  let sum = 0;
  for (const value of exponentials) sum += value;
  return exponentials.map((value) => value / sum);
}
