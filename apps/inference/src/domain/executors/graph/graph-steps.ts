// The steps of ready-made tasks as nodes of a graph, so that callers of a pipeline may send a JPEG or a sentence. What a step
// does stands in the servable.yaml of the model that it prepares for, not in the graph: a new version of the model brings its
// own.

import { StatusError } from "@servable/errors";
import type { TokenizerSection } from "@servable/preprocessing";
import type { NamedTensor } from "@servable/runtime";
import { elementsOf, encodeBytesElements, tensorOf, type Datatype, type Tensor } from "@servable/tensor";
import type { InferContext } from "../executor.ts";
import type { TensorSpec } from "../../config/signature.ts";
import { batchless } from "../../tasks/batchless.ts";
import { numbersOf, pickTensor } from "../../tasks/run-model.ts";
import { textInputsOf, tokensMaxOf } from "../../tasks/run-texts.ts";
import { decodeImage, idTensors, imageSpecOf, tokenize, topKLabels } from "../../tasks/steps.ts";
import { manifestFilesOf, type TaskFiles } from "../../tasks/task-files.ts";
import type { TaskDeps, TaskModel } from "../../tasks/task-model.ts";
import type { TaskNode } from "./graph-node.ts";

/** What a step reads and gives. */
export interface StepType {
  readonly input: readonly Datatype[];
  /** Under its own names: the inputs of the model, or `labels` and `probabilities`. */
  readonly outputs: readonly TensorSpec[];
}

/** The steps before and behind models. */
export interface GraphSteps {
  /** @throws StatusError `FIELD_INVALID` when the model's servable.yaml says nothing of such a step, and what is wrong with it */
  typeOf(node: TaskNode): Promise<StepType>;
  /** Runs a step. @throws StatusError `IMAGE_INVALID`, `FIELD_INVALID` */
  run(node: TaskNode, tensor: Tensor, context: InferContext): Promise<NamedTensor[]>;
}

/** Scores that labels are made of. */
const SCORES: readonly Datatype[] = ["FP32", "FP16", "FP64", "UINT8", "INT8", "INT32"];

/** The steps of a project's graphs. */
export function createGraphSteps(project: string, { resolve, images }: TaskDeps): GraphSteps {
  const open = async ({ step, model, version, at }: TaskNode): Promise<{ model: TaskModel; files: TaskFiles }> => {
    const found = resolve(project, model, version);
    try {
      return { model: found, files: await manifestFilesOf(found, step) };
    } catch (error) {
      throw invalid(at, StatusError.from(error).message, error);
    }
  };
  return {
    async typeOf(node) {
      const { model, files } = await open(node);
      try {
        return typeOf(node, model, files);
      } catch (error) {
        throw error instanceof StatusError && error.reason === "TASK_MANIFEST_INVALID" ? invalid(node.at, error.message, error) : error;
      }
    },
    async run(node, tensor, context) {
      const { model, files } = await open(node);
      switch (node.step) {
        case "decode_image": {
          const image = sectionOf(node, files.manifest.image, "image");
          const input = pickTensor(model, "inputs", image.input, "image.input");
          const pictures = elementsOf(tensor, node.from) as Uint8Array[];
          return [batchless({ name: input.name, ...(await decodeImage(images, pictures, imageSpecOf(image, input), context.signal)) }, input)];
        }
        case "tokenize":
          return tokenizeTexts(node, model, files, tensor);
        case "top_labels":
          return labelsOf(node, files, tensor);
        default: {
          const never: never = node.step;
          return never;
        }
      }
    },
  };
}

function typeOf(node: TaskNode, model: TaskModel, { manifest }: TaskFiles): StepType {
  switch (node.step) {
    case "decode_image": {
      const image = sectionOf(node, manifest.image, "image");
      const input = pickTensor(model, "inputs", image.input, "image.input");
      const { width, height, layout, colors, datatype } = imageSpecOf(image, input);
      const channels = colors === "gray" ? 1 : 3;
      const picture = layout === "nchw" ? [channels, height, width] : [height, width, channels];
      return { input: ["BYTES"], outputs: [{ name: input.name, datatype, shape: input.shape.length === 3 ? picture : [-1, ...picture] }] };
    }
    case "tokenize": {
      const { ids, mask, types } = textInputsOf(model, sectionOf(node, manifest.tokenizer, "tokenizer"));
      return { input: ["BYTES"], outputs: [ids, mask, types].filter((spec) => spec !== undefined).map(({ name, datatype, shape }) => ({ name, datatype, shape: [-1, shape[1] ?? -1] })) };
    }
    case "top_labels": {
      sectionOf(node, manifest.classification, "classification");
      return { input: SCORES, outputs: [{ name: "labels", datatype: "BYTES", shape: [-1, -1] }, { name: "probabilities", datatype: "FP32", shape: [-1, -1] }] };
    }
    default: {
      const never: never = node.step;
      return never;
    }
  }
}

async function tokenizeTexts(node: TaskNode, model: TaskModel, files: TaskFiles, tensor: Tensor): Promise<NamedTensor[]> {
  const section: TokenizerSection = sectionOf(node, files.manifest.tokenizer, "tokenizer");
  const inputs = textInputsOf(model, section);
  const tokenizer = await files.tokenizer();
  const texts = (elementsOf(tensor, node.from) as Uint8Array[]).map((bytes) => section.prefix + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
  const encoded = await tokenize(tokenizer, texts, { tokensMax: tokensMaxOf(model, section, tokenizer), specialTokens: section.specialTokens });
  const empty = encoded.findIndex(({ ids }) => ids.length === 0);
  if (empty !== -1) throw new StatusError("FIELD_INVALID", `${node.from}[${empty}] has no token for '${node.model}': send a text with words`, { metadata: { input: node.from } });
  const fixed = inputs.ids.shape[1] ?? -1;
  const width = fixed > 0 ? fixed : encoded.reduce((most, { ids }) => Math.max(most, ids.length), 0);
  return idTensors(encoded, { padId: tokenizer.padId, width, inputs });
}

/** The likeliest labels of each row: texts and probabilities, [rows, k]. */
async function labelsOf(node: TaskNode, files: TaskFiles, tensor: Tensor): Promise<NamedTensor[]> {
  const section = sectionOf(node, files.manifest.classification, "classification");
  const names = await files.labels();
  const { values } = numbersOf(new Map([[node.from, tensor]]), node.from);
  const classes = tensor.shape.at(-1) ?? 1;
  const rows = classes === 0 ? 0 : values.length / classes;
  const topK = node.topK > 0 ? node.topK : section.topK;
  const found = Array.from({ length: rows }, (_, row) => topKLabels(values.subarray(row * classes, (row + 1) * classes), names, { ...section, topK })).flat();
  const shape = [rows, rows === 0 ? 0 : found.length / rows];
  return [
    { name: "labels", datatype: "BYTES", shape, data: encodeBytesElements(found.map(({ label }) => Buffer.from(label))) },
    { name: "probabilities", ...tensorOf("FP32", shape, found.map(({ probability }) => probability)) },
  ];
}

function sectionOf<T>({ at, step, model }: TaskNode, section: T | undefined, name: string): T {
  if (section === undefined) throw invalid(at, `${step} needs the section ${name} of the servable.yaml of '${model}', which has none`);
  return section;
}

function invalid(at: string, why: string, cause?: unknown): StatusError {
  return new StatusError("FIELD_INVALID", `servable.graph.${at}: ${why}`, { metadata: { field: `servable.graph.${at}` }, ...(cause === undefined ? {} : { cause }) });
}

