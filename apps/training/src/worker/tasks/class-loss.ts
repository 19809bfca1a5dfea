import { binaryCrossEntropy, crossEntropy, softmaxFocalLoss, type Scope } from "@servable/nn";
import { ELEMENT_TYPES, cast, reshape, type Value } from "@servable/onnx";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";

/** How classes are told apart. */
export interface ClassLoss {
  /** Logits a row: 1 for two classes that are told apart by one, else one a class. */
  readonly outputs: number;
  /** logits: [batch, outputs], labels: INT64 [batch] → [] */
  build(nn: Scope, logits: Value, labels: Value): Value;
}

/**
 * The loss that a specification asks for. Two classes need one logit only, unless a family, weights, smoothing or the focal
 * loss treat them as two.
 */
export function classLoss(classCount: number, { family, loss, labelSmoothing, focalGamma }: Pick<TrainingSpecRecord, "family" | "loss" | "labelSmoothing" | "focalGamma">, classWeights: readonly number[] | undefined): ClassLoss {
  const plain = loss !== "focal" && labelSmoothing === 0 && classWeights === undefined;
  if (classCount === 2 && plain && (family === undefined || family === "logistic_regression" || family === "mlp")) {
    return { outputs: 1, build: (nn, logits, labels) => binaryCrossEntropy(nn.graph, logits, reshape(nn.graph, cast(nn.graph, labels, "FP32", ELEMENT_TYPES.FP32), logits.shape)) };
  }
  const weights = classWeights === undefined ? {} : { classWeights };
  return {
    outputs: classCount,
    build: (nn, logits, labels) => {
      if (loss === "focal") return softmaxFocalLoss(nn.graph, logits, labels, { gamma: focalGamma, ...weights });
      // Judging does without the smoothing: its loss is comparable between jobs.
      return crossEntropy(nn.graph, logits, labels, { labelSmoothing: nn.mode === "train" ? labelSmoothing : 0, ...weights });
    },
  };
}
