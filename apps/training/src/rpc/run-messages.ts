// Records of runs ↔ messages.

import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  CostEstimateSchema,
  RunRecordSchema,
  TrainingCheckpointSchema,
  TrainingLimitsSchema,
  TrainingLogMessageSchema,
  TrainingLogMessage_Severity,
  TrainingUsageSchema,
  type CostEstimate as CostEstimateMessage,
  type RunRecord as RunRecordMessage,
  type TrainingCheckpoint,
  type TrainingLimits,
  type TrainingLogMessage,
  type TrainingUsage,
} from "@servable/contracts/training/v1/training_job";
import { costOf, type CheckpointRecord, type CostEstimate, type JobLimits, type JobMessage, type JobUsage, type Price, type RunRecord } from "../domain/run-record.ts";

const SEVERITIES = { info: TrainingLogMessage_Severity.INFO, warning: TrainingLogMessage_Severity.WARNING, error: TrainingLogMessage_Severity.ERROR } as const;

export function limitsRecord(limits: TrainingLimits | undefined): JobLimits {
  if (limits === undefined) return { memoryBytes: 0, cost: 0 };
  return {
    memoryBytes: Number(limits.memoryBytes),
    cost: limits.cost,
    ...(limits.runDuration === undefined ? {} : { runMs: durationMs(limits.runDuration) }),
    ...(limits.deadlineTime === undefined ? {} : { deadlineMs: timestampMs(limits.deadlineTime) }),
  };
}

export function limitsMessage({ runMs, memoryBytes, cost, deadlineMs }: JobLimits): TrainingLimits {
  return create(TrainingLimitsSchema, {
    memoryBytes: BigInt(memoryBytes),
    cost,
    ...(runMs === undefined ? {} : { runDuration: durationFromMs(runMs) }),
    ...(deadlineMs === undefined ? {} : { deadlineTime: timestampFromMs(deadlineMs) }),
  });
}

export function checkpointMessage(checkpoint: CheckpointRecord): TrainingCheckpoint {
  return create(TrainingCheckpointSchema, {
    step: BigInt(checkpoint.step),
    epoch: checkpoint.epoch,
    digest: `sha256:${checkpoint.sha256}`,
    sizeBytes: BigInt(checkpoint.sizeBytes),
    attempt: checkpoint.attempt,
    createTime: timestampFromMs(checkpoint.createTimeMs),
    metrics: { ...checkpoint.metrics },
    best: checkpoint.best,
  });
}

export function runRecordMessage(record: RunRecord): RunRecordMessage {
  return create(RunRecordSchema, {
    ...record,
    seed: BigInt(record.seed),
    versions: { ...record.versions },
    trainableParameterCount: BigInt(record.trainableParameterCount),
    stepCount: BigInt(record.stepCount),
  });
}

export function estimateMessage(estimate: CostEstimate, price: Price): CostEstimateMessage {
  return create(CostEstimateSchema, {
    stepCount: BigInt(estimate.stepCount),
    secondsPerStep: estimate.secondsPerStep,
    runDuration: durationFromMs(estimate.runMs),
    memoryBytes: BigInt(estimate.memoryBytes),
    cost: costOf(estimate.runMs, price),
    currency: price.currency,
    trainableParameterCount: BigInt(estimate.trainableParameterCount),
    measuredStepCount: estimate.measuredStepCount,
  });
}

export function usageMessage(usage: JobUsage, price: Price): TrainingUsage {
  return create(TrainingUsageSchema, {
    runDuration: durationFromMs(Math.round(usage.runMs)),
    cpuDuration: durationFromMs(Math.round(usage.cpuMs)),
    peakMemoryBytes: BigInt(usage.peakMemoryBytes),
    rowCount: BigInt(usage.rowCount),
    tokenCount: BigInt(usage.tokenCount),
    cost: costOf(usage.runMs, price),
    currency: price.currency,
  });
}

export function logMessage({ severity, text }: JobMessage): TrainingLogMessage {
  return create(TrainingLogMessageSchema, { severity: SEVERITIES[severity], text });
}
