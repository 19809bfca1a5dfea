// Records ↔ messages: the only place where the two forms meet.

import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
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
import type { Price } from "../domain/run-record.ts";
import { checkpointMessage, estimateMessage, limitsMessage, logMessage, runRecordMessage, usageMessage } from "./run-messages.ts";
import { specMessage } from "./spec-messages.ts";

/** A job; `price` says what its time costs. */
export function jobMessage(job: JobRecord, price: Price): TrainingJob {
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
    priority: job.priority,
    labels: { ...job.labels },
    limits: limitsMessage(job.limits),
    reproducedJob: job.reproducedJob,
    ...(job.checkpoint === undefined ? {} : { checkpoint: checkpointMessage(job.checkpoint) }),
    ...(job.runRecord === undefined ? {} : { runRecord: runRecordMessage(job.runRecord) }),
    ...(job.costEstimate === undefined ? {} : { costEstimate: estimateMessage(job.costEstimate, price) }),
    usage: usageMessage(job.usage, price),
    tuningStudy: job.tuningStudy,
  });
}

export function eventMessage({ offset, timeMs, event }: JobEventRecord, price: Price): TrainingJobEvent {
  return create(TrainingJobEventSchema, { offset: BigInt(offset), time: timestampFromMs(timeMs), event: eventPayload(event, price) });
}

function eventPayload(event: JobEventRecord["event"], price: Price): TrainingJobEvent["event"] {
  switch (event.kind) {
    case "state":
      return { case: "stateChanged", value: jobMessage(event.job, price) };
    case "progress":
      return { case: "progress", value: progressMessage(event.progress) };
    case "log":
      return { case: "log", value: logMessage(event.message) };
    case "checkpoint":
      return { case: "checkpoint", value: checkpointMessage(event.checkpoint) };
    default: {
      const never: never = event;
      return never;
    }
  }
}

function progressMessage(progress: ProgressRecord) {
  const { validationLoss, validationAccuracy, remainingMs } = progress;
  return create(TrainingProgressSchema, {
    epoch: progress.epoch,
    epochCount: progress.epochCount,
    step: BigInt(progress.step),
    stepCount: BigInt(progress.stepCount),
    loss: progress.loss,
    stepsPerSecond: progress.stepsPerSecond,
    ...(validationLoss === undefined ? {} : { validationLoss }),
    ...(validationAccuracy === undefined ? {} : { validationAccuracy }),
    metrics: { ...progress.metrics },
    learningRate: progress.learningRate ?? 0,
    gradientNorm: progress.gradientNorm ?? 0,
    itemsPerSecond: progress.itemsPerSecond ?? 0,
    ...(remainingMs === undefined ? {} : { remainingDuration: durationFromMs(remainingMs) }),
  });
}

