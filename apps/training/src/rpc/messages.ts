// Records ↔ messages: the only place where the two forms meet.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  TrainingJobEventSchema,
  TrainingJobSchema,
  TrainingJob_State,
  TrainingProgressSchema,
  type TrainingJob,
  type TrainingJobEvent,
} from "@servable/contracts/training/v1/training_job";
import type { JobEventRecord, JobRecord, ProgressRecord } from "../domain/records.ts";
import { evaluationMessage } from "./evaluation-message.ts";
import { specMessage } from "./spec-messages.ts";

export function jobMessage(job: JobRecord): TrainingJob {
  return create(TrainingJobSchema, {
    name: job.name,
    dataset: job.dataset,
    model: job.model,
    spec: specMessage(job.spec),
    state: TrainingJob_State[job.state],
    failureReason: job.failureReason,
    failureMessage: job.failureMessage,
    ...(job.progress === undefined ? {} : { progress: progressMessage(job.progress) }),
    ...(job.evaluation === undefined ? {} : { evaluation: evaluationMessage(job.evaluation) }),
    modelVersion: job.modelVersion,
    datasetDigest: job.datasetDigest,
    attemptCount: job.attemptCount,
    creator: job.creator.principal,
    createTime: timestampFromMs(job.createTimeMs),
    ...(job.startTimeMs === undefined ? {} : { startTime: timestampFromMs(job.startTimeMs) }),
    ...(job.endTimeMs === undefined ? {} : { endTime: timestampFromMs(job.endTimeMs) }),
  });
}

export function eventMessage({ offset, timeMs, event }: JobEventRecord): TrainingJobEvent {
  return create(TrainingJobEventSchema, {
    offset: BigInt(offset),
    time: timestampFromMs(timeMs),
    event: event.kind === "state" ? { case: "stateChanged", value: jobMessage(event.job) } : { case: "progress", value: progressMessage(event.progress) },
  });
}

function progressMessage({ validationLoss, validationAccuracy, ...progress }: ProgressRecord) {
  return create(TrainingProgressSchema, {
    ...progress,
    step: BigInt(progress.step),
    stepCount: BigInt(progress.stepCount),
    ...(validationLoss === undefined ? {} : { validationLoss }),
    ...(validationAccuracy === undefined ? {} : { validationAccuracy }),
  });
}

