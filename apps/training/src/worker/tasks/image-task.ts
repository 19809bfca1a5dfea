import { StatusError } from "@servable/errors";
import { Scope, flatten, lenet, mlp, resnet18, resnet20, type Network } from "@servable/nn";
import { buildModel, div, sigmoid, sub, type Graph, type Value } from "@servable/onnx";
import { classOutputs } from "@servable/preprocessing";
import type { LabelledImages } from "../../domain/dataset-reader/dataset-table.ts";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { AugmentationRecord, TrainingSpecRecord } from "../../domain/training-spec-record.ts";
import type { LearningTask } from "../learning-task.ts";
import { augment } from "./augmentation.ts";
import { classLoss } from "./class-loss.ts";
import { classTargets, weightsOfClasses } from "./class-targets.ts";
import { judgeClasses } from "./judge-classes.ts";
import { penalised } from "./penalised.ts";
import { imageManifest } from "./task-manifest-text.ts";
import { divideRows, invalid } from "./task-rows.ts";

/** Convolutions keep all of a batch's layers in memory. */
const PORTION = { flat: 1_024, convolutional: 128 } as const;
/** Pictures whose pixels tell the mean and the deviation. */
const NORMALISED_BY_MAX = 10_000;
/** Up to this side ResNet takes the form for small pictures. */
const SMALL_SIDE_MAX = 64;
/** Natural photographs look the same in a mirror; digits do not. */
const PHOTOGRAPHS: AugmentationRecord = { flip: true, shift: 4 };

interface Normalisation {
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** Pictures with a class each. */
export function imageTask(images: LabelledImages, { spec }: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { classes, targets } = classTargets(images.classes, images.labels, spec.positiveClass, "the labels");
  if (spec.family === "logistic_regression" && classes.length > 2) throw invalid("family", `is logistic regression, which tells two classes apart, and there are ${classes.length}: choose softmax regression, or a positive_class`);
  const rows = divideRows({ rowCount: images.rowCount, split, classes: targets }, spec);
  const normalisation = normalisationOf(images, rows.training);
  const [height, width, channels] = images.shape;
  const size = height * width * channels;
  const loss = classLoss(classes.length, spec, weightsOfClasses(classes, spec));
  const body = bodyOf(images, spec, loss.outputs);
  const network: Network = (nn) => {
    const x = nn.input("x", "FP32", ["batch", channels, height, width]);
    const labels = nn.input("labels", "INT64", ["batch"]);
    const logits = body(nn, x);
    return { loss: loss.build(nn, logits, labels), outputs: { logits } };
  };
  const changes = spec.augmentation ?? (spec.family === "resnet" && channels === 3 ? PHOTOGRAPHS : undefined);
  const feeds: LearningTask["feeds"] = (some, draw) => {
    const x = new Float32Array(some.length * size);
    some.forEach((row, index) => {
      const pixels = x.subarray(index * size, (index + 1) * size);
      normalised(images, row, normalisation, pixels);
      if (changes !== undefined && draw !== undefined) augment(pixels, [channels, height, width], changes, { seed: spec.seed, draw, index });
    });
    return { x: { data: x, shape: [some.length, channels, height, width] }, labels: { data: BigInt64Array.from(some, (row) => BigInt(targets[row] ?? 0)), shape: [some.length] } };
  };
  const portion = spec.family === "lenet" || spec.family === "resnet" ? PORTION.convolutional : PORTION.flat;
  return {
    trainingRows: rows.training,
    validationRows: rows.validation,
    testRows: rows.test,
    network: penalised(network, spec),
    warnings: [],
    feeds,
    judge: (some, evaluate, detail = "full") => judgeClasses({ classes, targets, portion, feeds }, some, evaluate, detail),
    pack: async (weights) => {
      const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
      const logits = body(nn, imageGraph(nn.graph, images.shape, normalisation));
      // One class against the rest is a yes or no: one sigmoid output says it.
      const alone = spec.positiveClass !== "" && loss.outputs === 1;
      const outputs = alone ? { probability: sigmoid(nn.graph, logits) } : { ...classOutputs(nn.graph, logits, classes) };
      const model = buildModel({ graph: nn.graph, name: "servable_training", outputs });
      return new Map([["model.onnx", model], ...(alone || !(channels === 1 || channels === 3) ? [] : [["servable.yaml", imageManifest(classes, channels)] as const])]);
    },
  };
}

function bodyOf({ shape: [height, width, channels] }: LabelledImages, { family, hiddenUnits, dropout }: TrainingSpecRecord, outputs: number): (nn: Scope, x: Value) => Value {
  const sideMin = Math.min(height, width);
  switch (family) {
    case "lenet":
      if (sideMin < 12) throw invalid("family", `is LeNet, whose windows need pictures of at least 12×12 pixels; these are ${width}×${height}`);
      return (nn, x) => lenet(nn, x, outputs);
    case "resnet":
      if (sideMin < 8) throw invalid("family", `is ResNet, which halves pictures three times; these are ${width}×${height}`);
      if (channels !== 1 && channels !== 3) throw invalid("family", `is ResNet, which takes pictures of one or three channels; these have ${channels}`);
      return (nn, x) => (Math.max(height, width) <= SMALL_SIDE_MAX ? resnet20(nn, x, outputs) : resnet18(nn, x, outputs));
    case undefined:
    case "logistic_regression":
    case "softmax_regression":
    case "mlp":
      return (nn, x) => mlp(nn, flatten(nn, x), { hidden: family === "mlp" ? hiddenUnits : [], outputs, dropout });
    default:
      throw invalid("family", `${family.toUpperCase()} does not take pictures: choose LENET, RESNET, MLP or SOFTMAX_REGRESSION`);
  }
}

/** Mean and deviation of each channel over training pictures. @throws StatusError `DATASET_MALFORMED` naming the image that holds no number */
function normalisationOf(images: LabelledImages, rows: Uint32Array): Normalisation {
  const [height, width, channels] = images.shape;
  const pixels = new Float32Array(height * width * channels);
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  const stride = Math.max(1, Math.floor(rows.length / NORMALISED_BY_MAX));
  let count = 0;
  for (let at = 0; at < rows.length; at += stride) {
    images.read(rows[at] ?? 0, pixels, 0);
    for (let index = 0; index < pixels.length; index++) {
      const value = pixels[index] ?? NaN;
      const channel = index % channels;
      if (!Number.isFinite(value)) throw notFinite(rows[at] ?? 0, value);
      sums[channel] = (sums[channel] ?? 0) + value;
      squares[channel] = (squares[channel] ?? 0) + value * value;
    }
    count += height * width;
  }
  const mean = Array.from(sums, (sum) => Math.fround(sum / count));
  const deviation = Array.from(squares, (sum, channel) => Math.fround(Math.sqrt(Math.max(0, sum / count - (mean[channel] ?? 0) ** 2))) || 1);
  return { mean, deviation };
}

/** A picture as the network reads it: channels first, in deviations from the mean. */
function normalised(images: LabelledImages, row: number, { mean, deviation }: Normalisation, into: Float32Array): void {
  const [height, width, channels] = images.shape;
  const area = height * width;
  const pixels = new Float32Array(area * channels);
  images.read(row, pixels, 0);
  for (let at = 0; at < area; at++) {
    for (let channel = 0; channel < channels; channel++) {
      const value = pixels[at * channels + channel] ?? NaN;
      if (!Number.isFinite(value)) throw notFinite(row, value);
      // In f32 after each operation, as the exported graph computes it.
      into[channel * area + at] = Math.fround(value - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
    }
  }
}

/** The input `image` of raw pixels [batch, height, width, channels] and the nodes to what the network reads. */
function imageGraph(graph: Graph, [height, width, channels]: readonly [number, number, number], { mean, deviation }: Normalisation): Value {
  const image = graph.input("image", "FP32", ["batch", height, width, channels]);
  const scaled = div(graph, sub(graph, image, graph.constant("FP32", [channels], mean)), graph.constant("FP32", [channels], deviation));
  return graph.node("Transpose", [scaled], { datatype: "FP32", shape: ["batch", channels, height, width] }, { perm: [0, 3, 1, 2] });
}

function notFinite(row: number, value: number): StatusError {
  return new StatusError("DATASET_MALFORMED", `image ${row + 1} has the pixel ${value}: correct it, or leave the image out`);
}
