// Tables: columns become features that are fitted on the training rows, and the very same steps stand in the exported model.

import { buildModel, type Value } from "@servable/onnx";
import { Scope, mlp, type Network } from "@servable/nn";
import { classOutputs, fitTable, tableEncoder, tableGraph, type ColumnData, type FittedTable } from "@servable/preprocessing";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { TableSet } from "../../domain/dataset-reader/dataset-table.ts";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";
import type { LearningTask } from "../learning-task.ts";
import { classLoss } from "./class-loss.ts";
import { columnClasses, weightsOfClasses } from "./class-targets.ts";
import { judgeClasses } from "./judge-classes.ts";
import { penalised } from "./penalised.ts";
import { isRegression, regressionTask } from "./regression-task.ts";
import { sliceColumns } from "./slice-columns.ts";
import { tableOptions } from "./table-options.ts";
import { divideRows, invalid } from "./task-rows.ts";

const PORTION = 1_024;

/** What a table is learned from: its columns without the target, as features. */
export interface TableFeatures {
  readonly columns: readonly ColumnData[];
  readonly fitted: FittedTable;
  /** x of rows: f32 [rows, width] */
  fill(rows: Uint32Array): Float32Array;
}

/** A table whose target is a class, or a number. */
export function tableTask(table: TableSet, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  return isRegression(table, input.spec) ? regressionTask(table, input, split) : classificationTask(table, input, split);
}

function classificationTask(table: TableSet, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { spec } = input;
  const { classes, targets } = columnClasses(table.column(spec.targetColumn), spec.positiveClass);
  if (spec.family === "logistic_regression" && classes.length > 2) throw invalid("family", `is logistic regression, which tells two classes apart, and the target has ${classes.length}: choose softmax regression, an MLP, or a positive_class`);
  const rows = divideRows({ rowCount: table.rowCount, split, classes: targets }, spec);
  const features = tableFeatures(table, input, rows.training);
  const loss = classLoss(classes.length, spec, weightsOfClasses(classes, spec));
  const body = bodyOf(spec, loss.outputs);
  const network: Network = (nn) => {
    const x = nn.input("x", "FP32", ["batch", features.fitted.width]);
    const labels = nn.input("labels", "INT64", ["batch"]);
    const logits = body(nn, x);
    return { loss: loss.build(nn, logits, labels), outputs: { logits } };
  };
  const feeds: LearningTask["feeds"] = (some) => ({
    x: { data: features.fill(some), shape: [some.length, features.fitted.width] },
    labels: { data: BigInt64Array.from(some, (row) => BigInt(targets[row] ?? 0)), shape: [some.length] },
  });
  return {
    trainingRows: rows.training,
    validationRows: rows.validation,
    testRows: rows.test,
    network: penalised(network, spec),
    warnings: [...features.fitted.warnings, ...withoutTarget(targets)],
    feeds,
    judge: (some, evaluate, detail = "full") => judgeClasses({ classes, targets, portion: PORTION, feeds, slices: (judged) => sliceColumns(features.columns, judged) }, some, evaluate, detail),
    pack: async (weights) => {
      const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
      const logits = body(nn, tableGraph(nn.graph, features.fitted));
      return new Map([["model.onnx", buildModel({ graph: nn.graph, name: "servable_training", outputs: besideInputs(features.columns, { ...classOutputs(nn.graph, logits, classes) }) })]]);
    },
  };
}

/** The network of a family over features. */
export function bodyOf({ family, hiddenUnits, dropout }: Pick<TrainingSpecRecord, "family" | "hiddenUnits" | "dropout">, outputs: number): (nn: Scope, x: Value) => Value {
  const hidden = family === "mlp" ? hiddenUnits : [];
  return (nn, x) => mlp(nn, x, { hidden, outputs, dropout });
}

/** The columns that are learned from, fitted on the training rows. @throws StatusError `COLUMN_UNSUITABLE` naming the column */
export function tableFeatures(table: TableSet, { spec, missingValues }: AttemptInput, training: Uint32Array): TableFeatures {
  const wanted = (name: string): boolean => name !== spec.targetColumn && (spec.featureColumns.length === 0 || spec.featureColumns.includes(name));
  const columns = table.columns.filter(({ name }) => wanted(name));
  const fitted = fitTable(columns, training, { ...tableOptions(spec.preprocessing), missingValues });
  const encode = tableEncoder(fitted, columns);
  return {
    columns,
    fitted,
    fill: (rows) => {
      const x = new Float32Array(rows.length * fitted.width);
      rows.forEach((row, index) => encode(row, x, index * fitted.width));
      return x;
    },
  };
}

/** Outputs whose names no column has: a column may well be called "label". */
export function besideInputs(columns: readonly { readonly name: string }[], outputs: Readonly<Record<string, Value>>): Record<string, Value> {
  const taken = new Set(columns.map(({ name }) => name));
  const free = (name: string): string => (taken.has(name) ? free(`predicted_${name}`) : name);
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [free(name), value]));
}

/** What the record says of rows that have no target. */
export function withoutTarget(targets: Int32Array): string[] {
  const count = targets.reduce((sum, target) => sum + (target < 0 ? 1 : 0), 0);
  return count === 0 ? [] : [`${count} of ${targets.length} rows have no target and are left out`];
}
