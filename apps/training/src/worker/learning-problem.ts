import { readFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { sigmoid, type Graph, type Value } from "@servable/onnx";
import { PIXEL_MAX, classOutputs, encodeCell, fitColumn, imageInput, tableInputs, widthOf } from "@servable/preprocessing";
import { readCsv } from "../domain/dataset-reader/csv.ts";
import { readImages, sortedClasses } from "../domain/dataset-reader/images.ts";
import type { AttemptInput } from "../domain/job-executor.ts";

/** A data set as a learning problem: features, classes, and the graph around the network. */
export interface LearningProblem {
  readonly rowCount: number;
  /** Numbers of one row's features. */
  readonly width: number;
  /** The classes; the last of two is the positive one. */
  readonly classes: readonly string[];
  /** Index of each row's class. */
  readonly targets: Uint32Array;
  /** Learns means, deviations and categories from the training rows only. */
  fit(trainingRows: Uint32Array): void;
  /** Writes a row's features. */
  fill(row: number, target: Float32Array, offset: number): void;
  /** Raw inputs → features, as nodes. */
  inputs(graph: Graph): Value;
  /** Logits → what callers read, as nodes. */
  outputs(graph: Graph, logits: Value): Record<string, Value>;
}

/** Reads the files of a job. @throws StatusError `DATASET_MALFORMED`, `TARGET_UNSUITABLE` */
export function readProblem(input: AttemptInput): LearningProblem {
  return input.format === "csv" ? tableProblem(input) : imageProblem(input);
}

const NO_LIMITS = { rowsMax: Infinity, columnsMax: Infinity };

function tableProblem({ files, columns, missingValues, spec }: AttemptInput): LearningProblem {
  const { header, rows: all } = readCsv(readFileSync(files.find(({ role }) => role === "data")?.path ?? ""), missingValues, NO_LIMITS);
  const targetIndex = header.indexOf(spec.targetColumn);
  // Rows without a target teach nothing.
  const rows = all.filter((row) => row[targetIndex] !== undefined);
  const { classes, targets } = classify(rows.map((row) => row[targetIndex] ?? ""), spec.positiveClass);
  const used = columns.filter(({ name, kind }) => kind !== "ignored" && name !== spec.targetColumn);
  const cells = used.map(({ name }) => header.indexOf(name));
  let fitted = used.map(({ name, kind }) => fitColumn(name, kind === "numeric" ? "numeric" : "categorical", []));
  return {
    rowCount: rows.length,
    get width() {
      return fitted.reduce((sum, column) => sum + widthOf(column), 0);
    },
    classes,
    targets,
    fit(trainingRows) {
      fitted = used.map(({ name, kind }, which) => fitColumn(name, kind === "numeric" ? "numeric" : "categorical", Array.from(trainingRows, (row) => rows[row]?.[cells[which] ?? -1])));
    },
    fill(row, target, offset) {
      let at = offset;
      fitted.forEach((column, which) => {
        encodeCell(column, rows[row]?.[cells[which] ?? -1], target, at);
        at += widthOf(column);
      });
    },
    inputs: (graph) => tableInputs(graph, fitted, missingValues),
    outputs: (graph, logits) => besideInputs(used.map(({ name }) => name), { ...classOutputs(graph, logits, classes) }),
  };
}

/** Outputs whose names no column has: a column may well be called "label". */
function besideInputs(inputs: readonly string[], outputs: Readonly<Record<string, Value>>): Record<string, Value> {
  const free = (name: string): string => (inputs.includes(name) ? free(`predicted_${name}`) : name);
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [free(name), value]));
}

function imageProblem({ files, format, spec }: AttemptInput): LearningProblem {
  const { count, shape, pixels, labels } = readImages(format === "npy" ? "npy" : "idx", files, Infinity);
  const width = shape.reduce((product, size) => product * size, 1);
  const { classes, targets } = classify(labels, spec.positiveClass);
  return {
    rowCount: count,
    width,
    classes,
    targets,
    fit: () => {},
    fill(row, target, offset) {
      for (let index = 0, from = row * width; index < width; index++) target[offset + index] = (pixels[from + index] as number) / PIXEL_MAX;
    },
    inputs: (graph) => imageInput(graph, shape),
    // One class against the rest is a yes or no: one sigmoid output says it.
    outputs: (graph, logits) => (spec.positiveClass === "" ? { ...classOutputs(graph, logits, classes) } : { probability: sigmoid(graph, logits) }),
  };
}

function classify(labels: readonly string[], positiveClass: string): { classes: string[]; targets: Uint32Array } {
  if (positiveClass !== "") {
    if (!labels.includes(positiveClass)) throw new StatusError("TARGET_UNSUITABLE", `no row has the class "${positiveClass}"`);
    return { classes: [`not ${positiveClass}`, positiveClass], targets: Uint32Array.from(labels, (label) => (label === positiveClass ? 1 : 0)) };
  }
  const classes = sortedClasses(labels);
  if (classes.length < 2) throw new StatusError("TARGET_UNSUITABLE", `the target has ${classes.length} class: choose one with at least two`);
  const index = new Map(classes.map((name, at) => [name, at]));
  return { classes, targets: Uint32Array.from(labels, (label) => index.get(label) ?? 0) };
}
