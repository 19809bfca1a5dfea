// Networks: a model with its inputs and its loss, ready for a trainer. What a model computes is a function of a scope and its
// inputs; these put a task around it.

import { reshape, sigmoid, softmax, type Dimension, type Value } from "@servable/onnx";
import { binaryCrossEntropy } from "./losses/binary-cross-entropy.ts";
import { crossEntropy, type CrossEntropyOptions } from "./losses/cross-entropy.ts";
import { meanSquaredError } from "./losses/regression.ts";
import type { Network, Scope } from "./scope.ts";

/** Numbers in, numbers out: [batch, …] → [batch, outputs]. */
export type Body = (nn: Scope, x: Value) => Value;

/** What a network over numbers reads. */
export interface NetworkInput {
  /** Sizes of one row, e.g. [784] or [1, 28, 28]. */
  readonly shape: readonly Dimension[];
  /** @default "x" */
  readonly name?: string;
}

/**
 * A classifier: inputs `x` f32 [batch, …shape] and, unless it is served, `labels` INT64 [batch]; outputs `logits`
 * [batch, classes] and, where it is served, `probabilities`.
 *
 * @example classifier({ shape: [784] }, (nn, x) => mlp(nn, x, { hidden: [128], outputs: 10 }))
 */
export function classifier({ shape, name = "x" }: NetworkInput, body: Body, options: CrossEntropyOptions = {}): Network {
  return (nn) => {
    const x = nn.input(name, "FP32", ["batch", ...shape]);
    if (nn.mode === "infer") {
      const logits = body(nn, x);
      return { outputs: { logits, probabilities: softmax(nn.graph, logits) } };
    }
    const labels = nn.input("labels", "INT64", ["batch"]);
    const logits = body(nn, x);
    return { loss: crossEntropy(nn.graph, logits, labels, options), outputs: { logits } };
  };
}

/** Two classes by one logit: inputs `x` f32 [batch, …shape] and `targets` f32 [batch], 0 or 1; outputs `logits` [batch, 1] and, where it is served, `probabilities`. */
export function binaryClassifier({ shape, name = "x" }: NetworkInput, body: Body, loss: typeof binaryCrossEntropy = binaryCrossEntropy): Network {
  return (nn) => {
    const x = nn.input(name, "FP32", ["batch", ...shape]);
    if (nn.mode === "infer") {
      const logits = body(nn, x);
      return { outputs: { logits, probabilities: sigmoid(nn.graph, logits) } };
    }
    const targets = nn.input("targets", "FP32", ["batch"]);
    const logits = body(nn, x);
    return { loss: loss(nn.graph, logits, reshape(nn.graph, targets, logits.shape)), outputs: { logits } };
  };
}

/** Values: inputs `x` f32 [batch, …shape] and `targets` f32 [batch, outputs]; output `values` [batch, outputs]. */
export function regressor({ shape, name = "x" }: NetworkInput, body: Body, loss: typeof meanSquaredError = meanSquaredError): Network {
  return (nn) => {
    const x = nn.input(name, "FP32", ["batch", ...shape]);
    if (nn.mode === "infer") return { outputs: { values: body(nn, x) } };
    const values = body(nn, x);
    const targets = nn.input("targets", "FP32", ["batch", values.shape[1] ?? 1]);
    return { loss: loss(nn.graph, values, targets), outputs: { values } };
  };
}

/** A language model: inputs `input_ids` INT64 [batch, sequence] and, unless it is served, `labels` of the same shape: the token that follows each, or -100 where none is asked for. Output `logits` [batch, sequence, vocabulary]. */
export function languageModel(body: Body, options: CrossEntropyOptions = {}): Network {
  return (nn) => {
    const ids = nn.input("input_ids", "INT64", ["batch", "sequence"]);
    if (nn.mode === "infer") return { outputs: { logits: body(nn, ids) } };
    const labels = nn.input("labels", "INT64", ["batch", "sequence"]);
    const logits = body(nn, ids);
    return { loss: crossEntropy(nn.graph, logits, labels, options), outputs: { logits } };
  };
}
