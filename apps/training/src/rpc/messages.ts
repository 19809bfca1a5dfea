// Records ↔ messages: the only place where the two forms meet.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Column_Kind, DatasetSchema, Dataset_Format, type Dataset } from "@servable/contracts/training/v1/dataset";
import {
  TrainingJobEventSchema,
  TrainingJobSchema,
  TrainingJob_State,
  TrainingProgressSchema,
  type TrainingJob,
  type TrainingJobEvent,
} from "@servable/contracts/training/v1/training_job";
import type { DatasetHead } from "../domain/dataset-catalog.ts";
import type { ColumnKind, DatasetFormat, DatasetRecord, JobEventRecord, JobRecord, ProgressRecord } from "../domain/records.ts";
import { evaluationMessage } from "./evaluation-message.ts";
import { numberOf, wordOf } from "./enum-words.ts";
import { specMessage } from "./spec-messages.ts";

const FORMATS: readonly (readonly [DatasetFormat, Dataset_Format])[] = [
  ["csv", Dataset_Format.CSV],
  ["idx", Dataset_Format.IDX],
  ["npy", Dataset_Format.NPY],
  ["jsonl", Dataset_Format.JSONL],
  ["parquet", Dataset_Format.PARQUET],
  ["npz", Dataset_Format.NPZ],
  ["image_zip", Dataset_Format.IMAGE_ZIP],
  ["text", Dataset_Format.TEXT],
  ["chat", Dataset_Format.CHAT],
];
const KINDS: readonly (readonly [ColumnKind, Column_Kind])[] = [
  ["numeric", Column_Kind.NUMERIC],
  ["categorical", Column_Kind.CATEGORICAL],
  ["text", Column_Kind.TEXT],
  ["boolean", Column_Kind.BOOLEAN],
  ["datetime", Column_Kind.DATETIME],
  ["ignored", Column_Kind.IGNORED],
];
export function datasetHead(parent: string, datasetId: string, dataset: Dataset): DatasetHead {
  return {
    parent,
    datasetId,
    format: wordOf(FORMATS, dataset.format),
    description: dataset.description,
    // A column whose kind is not said is inferred like one that is not listed.
    columns: dataset.columns.flatMap(({ name, kind }) => {
      const word = wordOf(KINDS, kind);
      return word === undefined ? [] : [{ name, kind: word }];
    }),
    missingValues: dataset.missingValues,
  };
}

export function datasetMessage(dataset: DatasetRecord): Dataset {
  return create(DatasetSchema, {
    name: dataset.name,
    format: numberOf(FORMATS, dataset.format),
    description: dataset.description,
    columns: dataset.columns.map((column) => ({
      name: column.name,
      kind: numberOf(KINDS, column.kind),
      missingCount: BigInt(column.missingCount),
      categories: [...column.categories],
      mean: column.mean,
      standardDeviation: column.standardDeviation,
    })),
    missingValues: [...dataset.missingValues],
    rowCount: BigInt(dataset.rowCount),
    imageShape: dataset.imageShape.map(BigInt),
    labelClasses: [...dataset.labelClasses],
    digest: dataset.digest,
    sizeBytes: BigInt(dataset.sizeBytes),
    createTime: timestampFromMs(dataset.createTimeMs),
  });
}

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

