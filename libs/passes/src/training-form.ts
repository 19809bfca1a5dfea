// A file is exported for inference: its batch normalisations use running statistics, its dropouts pass everything. While it
// trains they do what they are for, with state and random numbers kept by the scope instead of the runtime.

import type { Scope } from "@servable/nn";
import { floatAttribute, intAttribute, mul, op, scalar, add, trainingBatchNormalization, type Graph, type ImportedNode, type Value } from "@servable/onnx";
import { elementsOf } from "@servable/tensor";
import type { WeightTracker } from "./weight-tracker.ts";

/** What training changes of a node; undefined for all others. */
export function trainingForm(nn: Scope, node: ImportedNode, tracker: WeightTracker, statistics: ReadonlySet<string>, dropout: boolean): (Value | undefined)[] | undefined {
  if (node.domain !== "") return undefined;
  if (node.opType === "Dropout") return droppedOut(nn, node, dropout);
  return node.opType === "BatchNormalization" ? normalised(nn, node, tracker, statistics) : undefined;
}

function droppedOut(nn: Scope, node: ImportedNode, dropout: boolean): (Value | undefined)[] | undefined {
  const [x, ratio] = node.inputs;
  if (x === undefined) return undefined;
  const tensor = ratio && nn.graph.initializers.get(ratio.name)?.tensor;
  const rate = ratio === undefined ? 0.5 : tensor === undefined ? 0 : Number(elementsOf(tensor)[0]);
  if (nn.mode !== "train" || !dropout || rate <= 0 || x.datatype !== "FP32") return [x];
  return [mul(nn.graph, x, nn.mask(`dropout.${node.name || (node.outputNames[0] ?? "")}`, x.shape, rate))];
}

/** By the batch's statistics where its scale is trained; the running ones follow as PyTorch's do. */
function normalised(nn: Scope, node: ImportedNode, tracker: WeightTracker, statistics: ReadonlySet<string>): (Value | undefined)[] | undefined {
  const [x, scale, bias, mean, variance] = node.inputs;
  if (x === undefined || scale === undefined || bias === undefined || mean === undefined || variance === undefined) return undefined;
  const { graph } = nn;
  const [meanName, varianceName] = [tracker.weightOf(mean)?.name, tracker.weightOf(variance)?.name];
  const epsilon = floatAttribute(node, "epsilon", 1e-5);
  const inference = (): Value[] => [op(graph, "BatchNormalization", [x, scale, bias, mean, variance], { epsilon: { float: epsilon } })];
  if (nn.mode !== "train" || meanName === undefined || varianceName === undefined || !statistics.has(meanName) || !statistics.has(varianceName)) return intAttribute(node, "training_mode", 0) === 1 ? inference() : undefined;
  const momentum = floatAttribute(node, "momentum", 0.9);
  const trained = trainingBatchNormalization(graph, x, { scale, bias, mean, variance }, { epsilon });
  nn.setBuffer(meanName, moved(graph, mean, trained.mean, momentum, 1));
  // ONNX averages the variance divided by n, PyTorch the one divided by n - 1: so do we, as far as n is known.
  const count = x.shape.reduce<number>((product, size, axis) => (axis === 1 ? product : typeof size === "number" ? product * size : NaN), 1);
  nn.setBuffer(varianceName, moved(graph, variance, trained.variance, momentum, count > 1 ? count / (count - 1) : 1));
  return [trained.output];
}

/** running·momentum + batch·(1 - momentum)·correction */
function moved(graph: Graph, running: Value, batch: Value, momentum: number, correction: number): Value {
  return add(graph, mul(graph, running, scalar(graph, running, momentum)), mul(graph, batch, scalar(graph, batch, (1 - momentum) * correction)));
}
