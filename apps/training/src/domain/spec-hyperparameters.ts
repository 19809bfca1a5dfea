import { StatusError } from "@servable/errors";
import type { TrainingSpecDraft } from "./training-spec.ts";

/** Numeric fields that a study may vary, by their path in the contract; "hidden_units.<index>" stands beside them. */
export const HYPERPARAMETERS = [
  "learning_rate",
  "momentum",
  "epoch_count",
  "batch_size",
  "weight_decay",
  "focal_gamma",
  "huber_delta",
  "label_smoothing",
  "accumulation_count",
  "clip_norm",
  "dropout",
  "l1_penalty",
  "l2_penalty",
  "ema_decay",
  "step_count_max",
  "max_sequence_length",
  "image_size",
  "optimizer_settings.beta1",
  "optimizer_settings.beta2",
  "optimizer_settings.epsilon",
  "optimizer_settings.smoothing",
  "schedule.warmup_steps",
  "schedule.factor",
  "schedule.interval_steps",
  "schedule.final_fraction",
  "schedule.rise_fraction",
  "architecture.layer_count",
  "architecture.head_count",
  "architecture.width",
  "architecture.feed_forward_width",
  "low_rank_adaptation.rank",
  "low_rank_adaptation.alpha",
  "preprocessing.constant",
  "preprocessing.category_count_max",
  "preprocessing.word_count_max",
] as const;

const HIDDEN_UNITS = /^hidden_units\.(\d)$/;

/** Writes the numbers into the fields that they name. @throws StatusError `FIELD_INVALID` naming the path */
export function applyHyperparameters({ hyperparameters = {}, ...draft }: TrainingSpecDraft): TrainingSpecDraft {
  const result: Record<string, unknown> = { ...draft };
  // By name, so that hidden_units.0 comes before hidden_units.1 whatever the order of the map.
  for (const [path, value] of Object.entries(hyperparameters).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const layer = HIDDEN_UNITS.exec(path)?.[1];
    if (layer !== undefined) {
      const units = [...((result["hiddenUnits"] as readonly number[] | undefined) ?? [])];
      if (Number(layer) > units.length) throw unknown(path, `names layer ${layer} of ${units.length}`);
      units[Number(layer)] = value;
      result["hiddenUnits"] = units;
      continue;
    }
    if (!(HYPERPARAMETERS as readonly string[]).includes(path)) throw unknown(path, `is no numeric field: ${HYPERPARAMETERS.join(", ")} or hidden_units.0 …`);
    setField(result, path, value);
  }
  return result;
}

/** Puts a value into the field that a path of proto names means, e.g. "optimizer_settings.beta1". */
export function setField(spec: Record<string, unknown>, path: string, value: unknown): void {
  const [first = "", second] = path.split(".").map((name) => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()));
  spec[first] = second === undefined ? value : { ...(spec[first] as object | undefined), [second]: value };
}

function unknown(path: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.spec.hyperparameters["${path.slice(0, 64)}"] ${problem}`, { metadata: { field: "training_job.spec.hyperparameters" } });
}
