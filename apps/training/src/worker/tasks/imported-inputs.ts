// How rows become the inputs of a model whose signature is its own.

import { signatureOf, type TensorSpec } from "@servable/onnx";
import type { CategoricalData, ColumnData, DatetimeData, ImageSection, NumericData } from "@servable/preprocessing";
import type { FeedData, Feeds } from "@servable/trainer";
import type { LabelledImages, TableSet } from "../../domain/dataset-reader/dataset-table.ts";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";
import { readBaseModel } from "./base-model.ts";
import { invalid } from "./task-rows.ts";

/** Rows as the model's inputs. */
export type InputFeeder = (rows: Uint32Array) => Feeds;

/**
 * Pictures for the one image input of a model, scaled as its task manifest says.
 *
 * @throws StatusError `FIELD_INVALID` when the model takes pictures of another size
 */
export function imageFeeder(images: LabelledImages, inputs: readonly TensorSpec[], section: ImageSection | undefined): InputFeeder {
  const [input, ...others] = inputs;
  if (input?.shape.length !== 4 || others.length > 0 || input.datatype !== "FP32") throw invalid("base_model", `takes ${inputs.map(({ name, shape }) => `"${name}" [${shape.join()}]`).join(", ")}, and pictures need one FP32 input of four axes`);
  const [height, width, channels] = images.shape;
  const channelsLast = section?.layout === "nhwc" || (section?.layout === undefined && input.shape[1] !== channels && input.shape[3] === channels);
  const wanted = channelsLast ? [height, width, channels] : [channels, height, width];
  const fits = wanted.every((size, axis) => (input.shape[axis + 1] ?? -1) < 0 || input.shape[axis + 1] === size);
  if (!fits) throw invalid("base_model", `takes pictures [${input.shape.slice(1).join()}], and those of the data set are ${wanted.join("×")} (${channelsLast ? "height, width, channels" : "channels, height, width"}): upload them in its size`);
  const { scale = 1, mean = [0], std = [1], colors } = section ?? {};
  const area = height * width;
  return (rows) => {
    const data = new Float32Array(rows.length * area * channels);
    const pixels = new Float32Array(area * channels);
    rows.forEach((row, index) => {
      images.read(row, pixels, 0);
      for (let at = 0; at < area; at++) {
        for (let channel = 0; channel < channels; channel++) {
          const from = colors === "bgr" ? channels - 1 - channel : channel;
          const value = ((pixels[at * channels + from] ?? 0) * scale - (mean[channel] ?? mean[0] ?? 0)) / (std[channel] ?? std[0] ?? 1);
          data[index * area * channels + (channelsLast ? at * channels + channel : channel * area + at)] = value;
        }
      }
    });
    return { [input.name]: { data, shape: [rows.length, ...wanted] } };
  };
}

/** Height, width and channels of the pictures that a base model takes, where its file fixes them. */
export function baseImageShape(input: Pick<AttemptInput, "baseModel" | "spec">): readonly number[] | undefined {
  const { model } = readBaseModel(input);
  const [only] = signatureOf(model).inputs;
  if (only?.shape.length !== 4) return undefined;
  const [, first = -1, second = -1, third = -1] = only.shape;
  const shape = third === 1 || third === 3 ? [first, second, third] : [second, third, first];
  return shape.every((size) => size > 0) ? shape : undefined;
}

/**
 * Cells for a model's inputs: columns that have an input's name, or all numbers of a row for one matrix.
 *
 * @throws StatusError `FIELD_INVALID` naming what does not fit
 */
export function tableFeeder(table: TableSet, inputs: readonly TensorSpec[], { targetColumn, featureColumns }: Pick<TrainingSpecRecord, "targetColumn" | "featureColumns">): InputFeeder {
  const columns = table.columns.filter(({ name }) => name !== targetColumn && (featureColumns.length === 0 || featureColumns.includes(name)));
  const [matrix] = inputs;
  const byName = inputs.every(({ name }) => columns.some((column) => column.name === name));
  if (!byName && inputs.length === 1 && matrix?.shape.length === 2 && matrix.datatype === "FP32") return matrixFeeder(table, columns, matrix);
  const missing = inputs.find(({ name }) => !columns.some((column) => column.name === name));
  if (missing !== undefined) throw invalid("base_model", `has the input "${missing.name}", and no column of that name is there to fill it`);
  const cells = inputs.map((input) => ({ input, value: numberOf(table, table.column(input.name)) }));
  return (rows) => Object.fromEntries(cells.map(({ input, value }) => [input.name, { data: arrayOf(input, Array.from(rows, value)), shape: [rows.length, ...input.shape.slice(1).map(() => 1)] }]));
}

function matrixFeeder(table: TableSet, columns: readonly ColumnData[], { name, shape: [, width = -1] }: TensorSpec): InputFeeder {
  if (width >= 0 && columns.length !== width) throw invalid("feature_columns", `are ${columns.length} columns (${columns.map((column) => column.name).slice(0, 10).join(", ")}), and the base model's input "${name}" takes ${width}`);
  const values = columns.map((column) => numberOf(table, column));
  return (rows) => ({ [name]: { data: Float32Array.from({ length: rows.length * columns.length }, (_, at) => values[at % columns.length]?.(rows[Math.floor(at / columns.length)] ?? 0) ?? 0), shape: [rows.length, columns.length] } });
}

/** A column's cells as numbers. A model of someone else has no idea of what is missing. */
function numberOf(table: TableSet, column: ColumnData): (row: number) => number {
  if (column.kind === "text" || column.kind === "categorical") throw invalid("feature_columns", `hold "${column.name}", which is ${column.kind}: the base model takes numbers; encode it, or leave it out`);
  const at = numberAt(column);
  for (let row = 0; row < table.rowCount; row++) if (Number.isNaN(at(row))) throw invalid("feature_columns", `hold "${column.name}", which has no value in ${table.placeOf(row)}: fill it, or leave the column out`);
  return at;
}

function numberAt(column: NumericData | DatetimeData | CategoricalData): (row: number) => number {
  if (column.kind === "numeric" || column.kind === "datetime") return (row) => column.values[row] ?? NaN;
  const truths = column.categories.map((text) => (/^(true|yes|1|t|y)$/i.test(text) ? 1 : 0));
  return (row) => truths[column.codes[row] ?? -1] ?? NaN;
}

function arrayOf({ name, datatype }: TensorSpec, values: readonly number[]): FeedData {
  if (datatype === "FP32") return Float32Array.from(values);
  if (datatype === "INT64") return BigInt64Array.from(values, (value) => BigInt(Math.round(value)));
  if (datatype === "INT32") return Int32Array.from(values);
  throw invalid("base_model", `has the input "${name}" of ${datatype}: FP32, INT64 and INT32 are fed`);
}
