import { adaptersOf, mergeLora, planTraining, type LoraOptions, type TrainingPlan } from "@servable/passes";
import type { ModelProto } from "@servable/onnx";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";
import { GraphError } from "@servable/onnx";
import { invalid } from "./task-rows.ts";

/** What of a base model is trained, as the specification says. @throws StatusError `FIELD_INVALID` for a pattern that fits no weight */
export function planOf(model: ModelProto, spec: Pick<TrainingSpecRecord, "frozenParameters" | "lowRankAdaptation">): TrainingPlan {
  const lora = loraOf(spec);
  try {
    return planTraining(model, { freeze: spec.frozenParameters, ...(lora === undefined ? {} : { lora }) });
  } catch (error) {
    if (error instanceof GraphError) throw invalid(/pattern/.test(error.message) && lora?.target !== undefined ? "low_rank_adaptation.targets" : "frozen_parameters", error.message);
    throw error;
  }
}

/** The base model as it is served: with adapters merged into its weights. Further weights come with the network that is built over it. */
export function servedPlan(plan: TrainingPlan, weights: ReadonlyMap<string, Float32Array>, spec: Pick<TrainingSpecRecord, "lowRankAdaptation">): TrainingPlan {
  const lora = loraOf(spec);
  if (lora === undefined || plan.adapted.size === 0) return plan;
  return planTraining(mergeLora(plan.model, adaptersOf(weights, plan.model, lora)), { train: [...plan.trained] });
}

function loraOf({ lowRankAdaptation }: Pick<TrainingSpecRecord, "lowRankAdaptation">): LoraOptions | undefined {
  if (lowRankAdaptation === undefined) return undefined;
  const { rank, alpha, targets } = lowRankAdaptation;
  return { rank, alpha, ...(targets.length === 0 ? {} : { target: targets }) };
}
