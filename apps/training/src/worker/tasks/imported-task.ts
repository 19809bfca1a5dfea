// Any registered ONNX classifier is trained further: its inputs keep their names, its weights begin as they are. Where the
// data has other classes, a fresh linear layer takes the place of its head.

import { Scope, type Network } from "@servable/nn";
import { buildModel, signatureOf, type ImportedGraph, type TensorSpec, type Value } from "@servable/onnx";
import { attachHead, headInput, trainable } from "@servable/passes";
import type { Feeds } from "@servable/trainer";
import type { LabelledImages, TableSet } from "../../domain/dataset-reader/dataset-table.ts";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { LearningTask } from "../learning-task.ts";
import { baseLabels } from "./base-labels.ts";
import { readBaseModel, type BaseModelFiles } from "./base-model.ts";
import { checkDifferentiable } from "./check-differentiable.ts";
import { classLoss } from "./class-loss.ts";
import { classTargets, columnClasses, weightsOfClasses, type ClassTargets } from "./class-targets.ts";
import { imageFeeder, tableFeeder, type InputFeeder } from "./imported-inputs.ts";
import { judgeClasses } from "./judge-classes.ts";
import { penalised } from "./penalised.ts";
import { withoutTarget } from "./table-task.ts";
import { divideRows, invalid } from "./task-rows.ts";
import { planOf, servedPlan } from "./trained-model.ts";

const PORTION = 64;

/** What the model says of a row, and of which classes. */
interface Head {
  /** Logits [batch, outputs] of a graph that the model was taken into. */
  logits(nn: Scope, imported: ImportedGraph): Value;
  /** Classes in the order of the logits. */
  readonly targets: ClassTargets;
  /** Whether the model's own head was replaced. */
  readonly fresh: boolean;
  readonly output: string;
}

/** Pictures or rows of a table for a registered classifier. */
export function importedTask(dataset: LabelledImages | TableSet, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { spec } = input;
  const base = readBaseModel(input);
  const found = dataset.kind === "images" ? classTargets(dataset.classes, dataset.labels, spec.positiveClass, "the labels") : columnClasses(dataset.column(spec.targetColumn), spec.positiveClass);
  const placeOf = (row: number): string => (dataset.kind === "images" ? `image ${row + 1}` : `column "${spec.targetColumn}", ${dataset.placeOf(row)}`);
  const plan = planOf(base.model, spec);
  const head = headOf(base, found, placeOf);
  const { classes, targets } = head.targets;
  const rows = divideRows({ rowCount: dataset.rowCount, split, classes: targets }, spec);
  const { inputs } = signatureOf(base.model);
  const fixed = inputs.find(({ shape }) => (shape[0] ?? -1) >= 0);
  if (fixed !== undefined) throw invalid("base_model", `takes batches of ${fixed.shape[0]} only ("${fixed.name}" [${fixed.shape.join()}]): export it with a first axis that varies`);
  const fill: InputFeeder = dataset.kind === "images" ? imageFeeder(dataset, inputs, base.manifest?.image) : tableFeeder(dataset, inputs, spec);
  // A family that is not ours takes as many logits as there are classes.
  const loss = classLoss(classes.length, { ...spec, family: "imported" }, weightsOfClasses(classes, spec));
  const network: Network = (nn) => {
    const logits = head.logits(nn, trainable(nn, plan));
    const labels = nn.input("labels", "INT64", ["batch"]);
    return { loss: loss.build(nn, logits, labels), outputs: { logits } };
  };
  const first = rows.training.subarray(0, Math.min(2, rows.training.length));
  checkDifferentiable(network, dimensionsOf(inputs, fill(first), first.length));
  const feeds: LearningTask["feeds"] = (some) => ({ ...fill(some), labels: { data: BigInt64Array.from(some, (row) => BigInt(targets[row] ?? 0)), shape: [some.length] } });
  return {
    trainingRows: rows.training,
    validationRows: rows.validation,
    testRows: rows.test,
    network: penalised(network, spec),
    warnings: [...withoutTarget(targets), ...(head.fresh ? [`the model's head is replaced: it tells other classes apart than the ${classes.length} of the data`] : [])],
    feeds,
    judge: (some, evaluate, detail = "full") => judgeClasses({ classes, targets, portion: PORTION, feeds }, some, evaluate, detail),
    pack: async (weights) => {
      const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
      const imported = trainable(nn, servedPlan(plan, weights, spec));
      const outputs = head.fresh ? { [head.output]: head.logits(nn, imported) } : Object.fromEntries(imported.outputs);
      const model = buildModel({ graph: nn.graph, name: "servable_training", outputs });
      return new Map([["model.onnx", model], ...besides(base, classes, head)]);
    },
  };
}

/**
 * The model's own head where it tells the data's classes apart, by the names of its labels or by their numbers; a fresh one
 * otherwise.
 */
function headOf(base: BaseModelFiles, found: ClassTargets, placeOf: (row: number) => string): Head {
  const { model, manifest } = base;
  const name = manifest?.classification?.output ?? model.graph?.output.find((output) => output.name === "logits")?.name ?? model.graph?.output[0]?.name ?? "";
  const softmaxed = model.graph?.node.find(({ output, opType }) => opType === "Softmax" && output.includes(name))?.input[0];
  const spec = signatureOf(model).outputs.find((output) => output.name === name);
  const size = spec?.shape.at(-1) ?? -1;
  if (spec?.datatype !== "FP32") throw invalid("base_model", `has no FP32 output of scores: "${name}" is ${spec?.datatype ?? "missing"}`);
  const own = (targets: ClassTargets): Head => ({
    targets,
    fresh: false,
    output: name,
    logits: (_, { values, outputs }) => {
      const value = (softmaxed === undefined ? outputs.get(name) : values.get(softmaxed)) ?? outputs.get(name);
      if (value?.shape.length !== 2) throw invalid("base_model", `gives "${name}" [${value?.shape.join() ?? ""}], and a classifier gives [batch, classes]`);
      return value;
    },
  });
  const labels = baseLabels(base);
  if (labels !== undefined && found.classes.every((label) => labels.includes(label))) return own({ classes: labels, targets: found.targets.map((target) => (target < 0 ? -1 : labels.indexOf(found.classes[target] ?? ""))) });
  const numbers = found.classes.map(Number);
  if (labels === undefined && size > 0 && numbers.every((value) => Number.isInteger(value) && value >= 0)) {
    const outside = numbers.findIndex((value) => value >= size);
    if (outside < 0) return own({ classes: Array.from({ length: size }, (_, index) => String(index)), targets: found.targets.map((target) => (target < 0 ? -1 : (numbers[target] ?? -1))) });
    throw invalid("target_column", `holds the label ${numbers[outside]} (${placeOf(found.targets.indexOf(outside))}), and the base model has the classes 0 to ${size - 1}: give the labels names to train a fresh head, or correct them`);
  }
  if (labels === undefined && size === found.classes.length) return own(found);
  const at = headInput(model, name);
  return {
    targets: found,
    fresh: true,
    output: "logits",
    logits: (nn, { values }) => {
      const features = values.get(at);
      if (features === undefined) throw invalid("base_model", `has no value "${at}" for a head to read`);
      return attachHead(nn, features, { classes: found.classes.length });
    },
  };
}

/** Files of the base version that still hold for the trained one. */
function besides({ text, manifest }: BaseModelFiles, classes: readonly string[], { fresh, output }: Head): [string, Uint8Array][] {
  const encode = new TextEncoder();
  const yaml = text("servable.yaml");
  if (yaml === undefined) return [["labels.json", encode.encode(JSON.stringify({ labels: classes }))]];
  const labels = manifest?.classification?.labels;
  if (!fresh) return [["servable.yaml", encode.encode(yaml)], ...(labels?.kind === "file" ? ([[labels.file, encode.encode(text(labels.file) ?? "")]] as [string, Uint8Array][]) : [])];
  const image = manifest?.image;
  if (image === undefined) return [["labels.json", encode.encode(JSON.stringify({ labels: classes }))]];
  const { shortSide, ...section } = image;
  const lines = ["servable: 1", "task: image-classification", `image: ${JSON.stringify({ ...section, short_side: shortSide })}`, `classification: ${JSON.stringify({ output, scores: "logits", labels: classes })}`, ""];
  return [["servable.yaml", encode.encode(lines.join("\n"))]];
}

/** The sizes of a batch by the names that the model's inputs have for them. */
function dimensionsOf(inputs: readonly TensorSpec[], feeds: Feeds, batch: number): Record<string, number> {
  const sizes: Record<string, number> = { batch };
  for (const { name, shape, dimensionNames } of inputs) {
    shape.forEach((size, axis) => {
      const label = dimensionNames[axis] ?? "";
      if (size < 0) sizes[`?${label === "" ? `#${name}.${axis}` : label}`] = feeds[name]?.shape[axis] ?? batch;
    });
  }
  return sizes;
}
