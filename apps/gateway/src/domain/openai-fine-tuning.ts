// Shapes of OpenAI's files and fine_tuning.jobs. Source: shared reference of the API, sections 11 and 12.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { FineTuningJob_State, type FineTuningEvent, type FineTuningJob, type FineTuningJobSchema, type StoredFile } from "@servable/contracts/training/v1/fine_tuning";
import type { TrainingCheckpoint } from "@servable/contracts/training/v1/training_job";
import { numberOf, objectIn, refuse, requiredText, textOf, textsByKey, type Body } from "./openai-fields.ts";

const SEED_MAX = 2_147_483_647;
/** Reasons of a bad file, as OpenAI codes it. */
const FILE_REASONS: ReadonlySet<string> = new Set(["DATASET_MALFORMED", "DATASET_TOO_LARGE", "TARGET_UNSUITABLE"]);
const STATES: Readonly<Record<FineTuningJob_State, string>> = {
  [FineTuningJob_State.UNSPECIFIED]: "queued",
  [FineTuningJob_State.VALIDATING_FILES]: "validating_files",
  [FineTuningJob_State.QUEUED]: "queued",
  [FineTuningJob_State.RUNNING]: "running",
  [FineTuningJob_State.SUCCEEDED]: "succeeded",
  [FineTuningJob_State.FAILED]: "failed",
  [FineTuningJob_State.CANCELLED]: "cancelled",
  [FineTuningJob_State.PAUSED]: "paused",
};

/** The last part of a resource's name. */
export function idOf({ name }: { readonly name: string }): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** A file object. Files are looked at by the job that uses them, so that one is "processed" at once. */
export function fileObject(file: StoredFile) {
  return {
    id: idOf(file),
    object: "file",
    bytes: Number(file.sizeBytes),
    created_at: secondsOf(file.createTime),
    expires_at: file.expireTime === undefined ? null : secondsOf(file.expireTime),
    filename: file.filename,
    purpose: file.purpose,
    status: "processed",
    status_details: null,
  };
}

/** A fine_tuning.job object. */
export function jobObject(job: FineTuningJob) {
  const hyperparameters = { n_epochs: job.epochCount ?? "auto", batch_size: job.batchSize ?? "auto", learning_rate_multiplier: job.learningRateMultiplier ?? "auto" };
  const failed = job.state === FineTuningJob_State.FAILED;
  return {
    id: idOf(job),
    object: "fine_tuning.job",
    created_at: secondsOf(job.createTime),
    finished_at: job.endTime === undefined ? null : secondsOf(job.endTime),
    model: job.model,
    fine_tuned_model: job.fineTunedModel === "" ? null : job.fineTunedModel,
    organization_id: `org-${job.name.split("/")[1] ?? ""}`,
    status: STATES[job.state],
    hyperparameters,
    training_file: job.trainingFile,
    validation_file: job.validationFile === "" ? null : job.validationFile,
    result_files: [...job.resultFiles],
    trained_tokens: job.trainedTokenCount === undefined ? null : Number(job.trainedTokenCount),
    error: failed ? { code: FILE_REASONS.has(job.failureReason) ? `invalid_${job.failureField === "" ? "training_file" : job.failureField}` : job.failureReason.toLowerCase(), message: job.failureMessage, param: job.failureField === "" ? null : job.failureField } : null,
    seed: Number(job.seed ?? 0n),
    estimated_finish: null,
    integrations: [],
    method: { type: "supervised", supervised: { hyperparameters } },
    metadata: { ...job.metadata },
  };
}

/** A fine_tuning.job.event object. */
export function eventObject({ eventId, createTime, level, message, metrics }: FineTuningEvent) {
  const data = Object.keys(metrics).length === 0 ? {} : { ...metrics };
  return { object: "fine_tuning.job.event", id: eventId, created_at: secondsOf(createTime), level, message, type: Object.keys(metrics).length === 0 ? "message" : "metrics", data };
}

/** A fine_tuning.job.checkpoint object. A checkpoint is what a job goes on from; only the finished model can be called. */
export function checkpointObject(job: FineTuningJob, { step, digest, createTime, metrics }: TrainingCheckpoint) {
  return {
    object: "fine_tuning.job.checkpoint",
    id: `ftckpt_${digest.slice(-24)}`,
    created_at: secondsOf(createTime),
    fine_tuned_model_checkpoint: `${job.fineTunedModel === "" ? `ft:${job.model}` : job.fineTunedModel}:ckpt-step-${step}`,
    step_number: Number(step),
    fine_tuning_job_id: idOf(job),
    metrics: {
      step: Number(step),
      train_loss: metrics["loss"] ?? null,
      train_mean_token_accuracy: null,
      valid_loss: metrics["validation_loss"] ?? null,
      valid_mean_token_accuracy: metrics["validation_accuracy"] ?? metrics["token_accuracy"] ?? null,
      full_valid_loss: metrics["validation_loss"] ?? null,
      full_valid_mean_token_accuracy: metrics["validation_accuracy"] ?? metrics["token_accuracy"] ?? null,
    },
  };
}

/** What a caller asks for in `POST /v1/fine_tuning/jobs`. @throws StatusError naming the parameter */
export function jobOfBody(body: Body): MessageInitShape<typeof FineTuningJobSchema> {
  const hyperparameters = hyperparametersOf(body);
  const { integrations } = body;
  if (Array.isArray(integrations) && integrations.length > 0) throw refuse("integrations", "are not served: leave them out; metrics are in the events and in the result file");
  const seed = numberOf(body, "seed", { min: 0, max: SEED_MAX, whole: true });
  const batchSize = autoOr(hyperparameters, "batch_size", { min: 1, max: 256, whole: true });
  const epochCount = autoOr(hyperparameters, "n_epochs", { min: 1, max: 50, whole: true });
  const learningRateMultiplier = autoOr(hyperparameters, "learning_rate_multiplier", { min: Number.MIN_VALUE, max: 1_000 });
  return {
    model: requiredText(body, "model"),
    trainingFile: requiredText(body, "training_file"),
    validationFile: textOf(body, "validation_file"),
    suffix: textOf(body, "suffix"),
    metadata: textsByKey(body, "metadata"),
    ...(seed === undefined ? {} : { seed: BigInt(seed) }),
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(epochCount === undefined ? {} : { epochCount }),
    ...(learningRateMultiplier === undefined ? {} : { learningRateMultiplier }),
  };
}

/** Of the method, or of the older field beside it. */
function hyperparametersOf(body: Body): Body {
  const method = objectIn(body, "method");
  const type = method["type"] ?? "supervised";
  if (type === "dpo" || type === "reinforcement") throw refuse("method", `"${type}" is not served: fine-tuning is supervised here, from examples of what the assistant should say`);
  if (type !== "supervised") throw refuse("method", 'must have the type "supervised"');
  const own = objectIn(objectIn(method, "supervised"), "hyperparameters");
  return Object.keys(own).length > 0 ? own : objectIn(body, "hyperparameters");
}

function autoOr(hyperparameters: Body, field: string, range: Parameters<typeof numberOf>[2]): number | undefined {
  return hyperparameters[field] === "auto" ? undefined : numberOf(hyperparameters, field, range);
}

function secondsOf(time: Parameters<typeof timestampMs>[0] | undefined): number {
  return time === undefined ? 0 : Math.floor(timestampMs(time) / 1_000);
}
