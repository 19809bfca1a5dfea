import { evaluateRegression } from "@servable/evaluation";
import { StatusError } from "@servable/errors";
import { Scope, huberLoss, meanSquaredError, type Network } from "@servable/nn";
import { add, buildModel, mul } from "@servable/onnx";
import { tableGraph, type NumericData } from "@servable/preprocessing";
import { typedArrayOf } from "@servable/tensor";
import type { TableSet } from "../../domain/dataset-reader/dataset-table.ts";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";
import type { LearningTask } from "../learning-task.ts";
import { checkFinite } from "./judge-classes.ts";
import { penalised } from "./penalised.ts";
import { sliceColumns } from "./slice-columns.ts";
import { besideInputs, bodyOf, tableFeatures, withoutTarget } from "./table-task.ts";
import { divideRows, invalid } from "./task-rows.ts";

const PORTION = 1_024;
/** A column of numbers with at most so many whole values counts as classes where nothing else is said. */
const CLASS_VALUES_MAX = 20;

/** Whether a table's target is a number to be met rather than a class: the family or the loss says so, or the numbers do. */
export function isRegression(table: TableSet, { targetColumn, positiveClass, family, loss }: TrainingSpecRecord): boolean {
  if (family === "linear_regression" || loss === "mean_squared_error" || loss === "huber") return true;
  if (family === "logistic_regression" || family === "softmax_regression" || loss !== undefined || positiveClass !== "") return false;
  const column = table.column(targetColumn);
  if (column.kind !== "numeric") return false;
  const values = new Set<number>();
  for (const value of column.values) {
    if (Number.isNaN(value)) continue;
    values.add(value);
    if (values.size > CLASS_VALUES_MAX || !Number.isInteger(value)) return true;
  }
  return false;
}

/** A table whose target is a number: it is learned in standard deviations from the mean of the training rows. */
export function regressionTask(table: TableSet, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { spec } = input;
  const column = numericTarget(table, spec);
  const known = Int32Array.from(column.values, (value) => (Number.isNaN(value) ? -1 : 0));
  const rows = divideRows({ rowCount: table.rowCount, split, classes: known, stratify: false }, spec);
  const { mean, deviation } = momentsOf(column, rows.training);
  const features = tableFeatures(table, input, rows.training);
  const body = bodyOf(spec, 1);
  const network: Network = (nn) => {
    const x = nn.input("x", "FP32", ["batch", features.fitted.width]);
    const targets = nn.input("targets", "FP32", ["batch", 1]);
    const values = body(nn, x);
    return { loss: spec.loss === "huber" ? huberLoss(nn.graph, values, targets, spec.huberDelta) : meanSquaredError(nn.graph, values, targets), outputs: { values } };
  };
  const feeds: LearningTask["feeds"] = (some) => ({
    x: { data: features.fill(some), shape: [some.length, features.fitted.width] },
    targets: { data: Float32Array.from(some, (row) => ((column.values[row] ?? NaN) - mean) / deviation), shape: [some.length, 1] },
  });
  return {
    trainingRows: rows.training,
    validationRows: rows.validation,
    testRows: rows.test,
    network: penalised(network, spec),
    warnings: [...features.fitted.warnings, ...withoutTarget(known)],
    feeds,
    judge: async (some, evaluate, detail = "full") => {
      const predictions = new Float64Array(some.length);
      let lossSum = 0;
      for (let start = 0; start < some.length; start += PORTION) {
        const portion = some.subarray(start, start + PORTION);
        const { loss, outputs } = await evaluate(feeds(portion));
        lossSum += loss * portion.length;
        const values = outputs["values"];
        if (values === undefined) throw new TypeError('the network has no output "values"');
        (typedArrayOf(values) as Float32Array).forEach((value, index) => (predictions[start + index] = value * deviation + mean));
      }
      checkFinite(lossSum);
      const slices = detail === "full" ? { slices: sliceColumns(features.columns, some) } : {};
      return evaluateRegression({ targets: Float64Array.from(some, (row) => column.values[row] ?? NaN), predictions, loss: lossSum / Math.max(1, some.length), ...slices, detail });
    },
    pack: async (weights) => {
      const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
      const { graph } = nn;
      const scaled = body(nn, tableGraph(graph, features.fitted)); // [batch, 1]
      const value = add(graph, mul(graph, scaled, graph.constant("FP32", [], [deviation])), graph.constant("FP32", [], [mean]));
      return new Map([["model.onnx", buildModel({ graph, name: "servable_training", outputs: besideInputs(features.columns, { value }) })]]);
    },
  };
}

function numericTarget(table: TableSet, { targetColumn, family }: TrainingSpecRecord): NumericData {
  const column = table.column(targetColumn);
  if (column.kind !== "numeric") throw invalid("target_column", `"${targetColumn}" is ${column.kind}, and ${family === "linear_regression" ? "linear regression" : "the loss"} needs a number`);
  const infinite = column.values.findIndex((value) => value === Infinity || value === -Infinity);
  if (infinite >= 0) throw new StatusError("TARGET_UNSUITABLE", `column "${targetColumn}", ${table.placeOf(infinite)}: ${column.values[infinite]} cannot be learned: correct the cell`, { metadata: { field: "training_job.spec.target_column" } });
  return column;
}

/** @throws StatusError `TARGET_UNSUITABLE` for a constant target */
function momentsOf({ name, values }: NumericData, rows: Uint32Array): { mean: number; deviation: number } {
  const mean = rows.reduce((sum, row) => sum + (values[row] ?? NaN), 0) / rows.length;
  const variance = rows.reduce((sum, row) => sum + ((values[row] ?? NaN) - mean) ** 2, 0) / rows.length;
  if (!(variance > 0)) throw new StatusError("TARGET_UNSUITABLE", `training_job.spec.target_column: column "${name}" is ${values[rows[0] ?? 0]} in every row that is trained on: there is nothing to learn`, { metadata: { field: "training_job.spec.target_column" } });
  return { mean, deviation: Math.sqrt(variance) };
}
