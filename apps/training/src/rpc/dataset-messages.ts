// Data sets: records ↔ messages.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ColumnSchema, Column_Kind, DatasetSchema, DatasetSplitSchema, DatasetSplit_Method, Dataset_BadRowPolicy, Dataset_Format, type Column, type Dataset, type DatasetSplit } from "@servable/contracts/training/v1/dataset";
import { StatusError } from "@servable/errors";
import type { DatasetHead, DatasetReading } from "../domain/dataset-head.ts";
import type { SplitDraft } from "../domain/dataset-splitter.ts";
import type { ColumnKind, ColumnRecord, DatasetFormat, DatasetRecord, SplitRecord } from "../domain/records.ts";
import { numberOf, wordOf } from "./enum-words.ts";

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
const METHODS: readonly (readonly [SplitRecord["method"], DatasetSplit_Method])[] = [
  ["random", DatasetSplit_Method.RANDOM],
  ["stratified", DatasetSplit_Method.STRATIFIED],
  ["group", DatasetSplit_Method.GROUP],
  ["time", DatasetSplit_Method.TIME],
  ["given", DatasetSplit_Method.GIVEN],
];
const VALIDATION_FRACTION = 0.2;

/** An upload's head. */
export function datasetHead(parent: string, datasetId: string, newVersion: boolean, dataset: Dataset): DatasetHead {
  return { parent, datasetId, newVersion, format: wordOf(FORMATS, dataset.format), ...readingOf(dataset) };
}

/** What a caller says of how a data set is read. */
export function readingOf({ description, columns, missingValues, header, badRowPolicy, imageShape }: Dataset): DatasetReading {
  return { description, columns: statedKinds(columns), missingValues, header, skipBadRows: badRowPolicy === Dataset_BadRowPolicy.SKIP, imageShape: imageShape.map(Number) };
}

/** What an update changes: the fields of the mask or, without one, those that are set. @throws StatusError `FIELD_INVALID` */
export function changesOf(dataset: Dataset, paths: readonly string[], current: DatasetRecord): Partial<DatasetReading> {
  const reading = readingOf(dataset);
  const fields = {
    description: { description: reading.description },
    columns: { columns: mergedKinds(current, dataset.columns) },
    missing_values: { missingValues: reading.missingValues },
    bad_row_policy: { skipBadRows: reading.skipBadRows },
    image_shape: { imageShape: reading.imageShape },
  } as const;
  const isField = (path: string): path is keyof typeof fields => Object.hasOwn(fields, path);
  const isSet = { description: dataset.description !== "", columns: dataset.columns.length > 0, missing_values: dataset.missingValues.length > 0, bad_row_policy: dataset.badRowPolicy !== Dataset_BadRowPolicy.UNSPECIFIED, image_shape: dataset.imageShape.length > 0 };
  const named = paths.length > 0 ? paths : Object.keys(fields).filter((path) => isField(path) && isSet[path]);
  const unknown = named.find((path) => !isField(path));
  if (unknown !== undefined) throw invalid("update_mask", `"${unknown}" cannot be changed: ${Object.keys(fields).join(", ")} can`);
  if (named.length === 0) throw invalid("dataset", `nothing is to be changed: set one of ${Object.keys(fields).join(", ")}`);
  return Object.assign({}, ...named.map((path) => (isField(path) ? fields[path] : {}))) as Partial<DatasetReading>;
}

/** A data set's version. */
export function datasetMessage(dataset: DatasetRecord): Dataset {
  return create(DatasetSchema, {
    name: dataset.name,
    format: numberOf(FORMATS, dataset.format),
    description: dataset.description,
    columns: dataset.columns.map(columnMessage),
    missingValues: [...dataset.missingValues],
    rowCount: BigInt(dataset.rowCount),
    imageShape: dataset.imageShape.map(BigInt),
    labelClasses: [...dataset.labelClasses],
    digest: dataset.digest,
    sizeBytes: BigInt(dataset.sizeBytes),
    createTime: timestampFromMs(dataset.createTimeMs),
    version: BigInt(dataset.version),
    badRowPolicy: dataset.skipBadRows ? Dataset_BadRowPolicy.SKIP : Dataset_BadRowPolicy.REFUSE,
    header: [...dataset.header],
    skippedRows: dataset.skippedRows.map((row) => ({ ...row })),
    warnings: [...dataset.warnings],
    labelClassCounts: dataset.labelClassCounts.map(BigInt),
    splits: dataset.splits.map(splitMessage),
  });
}

/** A split as a caller asks for it. @throws StatusError `FIELD_INVALID` */
export function splitDraft({ method, column, validationFraction, testFraction, seed }: DatasetSplit): SplitDraft {
  const number = Number(seed);
  if (!(number >= 0 && number <= Number.MAX_SAFE_INTEGER)) throw invalid("split.seed", `is ${seed}, it must be from 0 to ${Number.MAX_SAFE_INTEGER}`);
  return { method: wordOf(METHODS, method) ?? "random", column, validationFraction: validationFraction ?? VALIDATION_FRACTION, testFraction, seed: number };
}

/** A stored split. */
export function splitMessage(split: SplitRecord): DatasetSplit {
  return create(DatasetSplitSchema, {
    splitId: split.splitId,
    method: numberOf(METHODS, split.method),
    column: split.column,
    validationFraction: split.validationFraction,
    testFraction: split.testFraction,
    seed: BigInt(split.seed),
    digest: `sha256:${split.sha256}`,
    trainingRowCount: BigInt(split.trainingRowCount),
    validationRowCount: BigInt(split.validationRowCount),
    testRowCount: BigInt(split.testRowCount),
    createTime: timestampFromMs(split.createTimeMs),
  });
}

function columnMessage({ name, kind, missingCount, categories, mean, standardDeviation, statistics }: ColumnRecord): MessageInitShape<typeof ColumnSchema> {
  return {
    name,
    kind: numberOf(KINDS, kind),
    missingCount: BigInt(missingCount),
    categories: [...categories],
    mean,
    standardDeviation,
    ...(statistics === undefined
      ? {}
      : {
          statistics: {
            presentCount: BigInt(statistics.presentCount),
            distinctCount: BigInt(statistics.distinctCount),
            ...(statistics.min === undefined ? {} : { min: statistics.min }),
            ...(statistics.max === undefined ? {} : { max: statistics.max }),
            quantiles: [...statistics.quantiles],
            histogramEdges: [...statistics.histogramEdges],
            histogramShares: [...statistics.histogramShares],
            categoryCounts: statistics.categoryCounts.map(BigInt),
            meanLength: statistics.meanLength,
          },
        }),
  };
}

/** A column whose kind is not said is inferred like one that is not listed. */
function statedKinds(columns: readonly Column[]): { name: string; kind: ColumnKind }[] {
  return columns.flatMap(({ name, kind }) => {
    const word = wordOf(KINDS, kind);
    return word === undefined ? [] : [{ name, kind: word }];
  });
}

/** Those listed get their kind, or are inferred again where it is not said; the others keep what was said of them. */
function mergedKinds({ columnOverrides }: DatasetRecord, columns: readonly Column[]): { name: string; kind: ColumnKind }[] {
  const listed = new Set(columns.map(({ name }) => name));
  return [...columnOverrides.filter(({ name }) => !listed.has(name)), ...statedKinds(columns)];
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field}: ${problem}`, { metadata: { field } });
}
