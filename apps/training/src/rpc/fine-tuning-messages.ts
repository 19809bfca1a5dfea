import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FineTuningEventSchema, FineTuningJobSchema, FineTuningJob_State, StoredFileSchema, type FineTuningEvent, type FineTuningJob, type StoredFile } from "@servable/contracts/training/v1/fine_tuning";
import type { TuningView } from "../domain/fine-tuning/fine-tuning-jobs.ts";
import type { FileRecord, TuningPhase } from "../domain/fine-tuning/records.ts";
import type { TuningEvent } from "../domain/fine-tuning/tuning-events.ts";
import type { JobState } from "../domain/records.ts";

const PHASES: Readonly<Record<TuningPhase, FineTuningJob_State>> = {
  validating: FineTuningJob_State.VALIDATING_FILES,
  training: FineTuningJob_State.QUEUED,
  publishing: FineTuningJob_State.RUNNING,
  succeeded: FineTuningJob_State.SUCCEEDED,
  failed: FineTuningJob_State.FAILED,
  cancelled: FineTuningJob_State.CANCELLED,
};
/** While it trains. A training job that has ended goes on as registration and deployment. */
const TRAINING_STATES: Readonly<Record<JobState, FineTuningJob_State>> = {
  QUEUED: FineTuningJob_State.QUEUED,
  RUNNING: FineTuningJob_State.RUNNING,
  PAUSED: FineTuningJob_State.PAUSED,
  SUCCEEDED: FineTuningJob_State.RUNNING,
  FAILED: FineTuningJob_State.FAILED,
  CANCELLED: FineTuningJob_State.CANCELLED,
};

export function fileMessage({ project, id, filename, purpose, sizeBytes, createTimeMs, expireTimeMs }: FileRecord): StoredFile {
  return create(StoredFileSchema, {
    name: `projects/${project}/files/${id}`,
    filename,
    purpose,
    sizeBytes: BigInt(sizeBytes),
    createTime: timestampFromMs(createTimeMs),
    ...(expireTimeMs === undefined ? {} : { expireTime: timestampFromMs(expireTimeMs) }),
  });
}

export function tuningJobMessage({ job, training }: TuningView): FineTuningJob {
  const { batchSize, learningRateMultiplier, epochCount } = job.hyperparameters;
  const ended = training !== undefined && (training.state === "FAILED" || training.state === "CANCELLED") ? training.endTimeMs : undefined;
  const failure = job.failure ?? (training?.state === "FAILED" ? { reason: training.failureReason, message: training.failureMessage, field: "" } : undefined);
  const endTimeMs = job.endTimeMs ?? ended;
  return create(FineTuningJobSchema, {
    name: `projects/${job.project}/fineTuningJobs/${job.id}`,
    model: job.model,
    trainingFile: job.trainingFile,
    validationFile: job.validationFile,
    suffix: job.suffix,
    seed: BigInt(job.seed),
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(learningRateMultiplier === undefined ? {} : { learningRateMultiplier }),
    ...(epochCount === undefined ? {} : { epochCount }),
    metadata: { ...job.metadata },
    state: job.phase === "training" && training !== undefined ? TRAINING_STATES[training.state] : PHASES[job.phase],
    fineTunedModel: job.fineTunedModel,
    resultFiles: [...job.resultFiles],
    ...(job.trainedTokenCount === undefined ? {} : { trainedTokenCount: BigInt(job.trainedTokenCount) }),
    ...(failure === undefined ? {} : { failureReason: failure.reason, failureMessage: failure.message, failureField: failure.field }),
    createTime: timestampFromMs(job.createTimeMs),
    ...(endTimeMs === undefined ? {} : { endTime: timestampFromMs(endTimeMs) }),
    trainingJob: job.trainingJob,
  });
}

export function eventMessage({ id, timeMs, level, message, metrics }: TuningEvent): FineTuningEvent {
  return create(FineTuningEventSchema, { eventId: id, createTime: timestampFromMs(timeMs), level, message, metrics: { ...metrics } });
}
