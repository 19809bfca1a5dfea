import { StatusError } from "@servable/errors";
import { sigmoid, type Graph, type Value } from "@servable/onnx";
import { PIXEL_MAX, classOutputs, f32Text, fitTable, imageInput, tableEncoder, tableGraph, type ColumnData, type FittedTable } from "@servable/preprocessing";
import type { LabelledImages, TableSet } from "../domain/dataset-reader/dataset-table.ts";
import { sortedClasses } from "../domain/dataset-reader/images.ts";
import { openDataset } from "../domain/dataset-reader/open-dataset.ts";
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

/** Reads the files of a job. @throws StatusError `DATASET_MALFORMED`, `TARGET_UNSUITABLE`, `COLUMN_UNSUITABLE` */
export async function readProblem(input: AttemptInput): Promise<LearningProblem> {
  const data = await openDataset(input, { cacheDir: input.outputDir });
  if (data.kind === "table") return tableProblem(data, input);
  if (data.kind === "images") return imageProblem(data, input);
  throw new StatusError("TARGET_UNSUITABLE", "texts are no rows with a target: choose a family for language models");
}

function tableProblem(table: TableSet, { missingValues, spec }: AttemptInput): LearningProblem {
  const label = labelsOf(table.column(spec.targetColumn));
  // Rows without a target teach nothing.
  const rows = Uint32Array.from({ length: table.rowCount }, (_, row) => row).filter((row) => label(row) !== undefined);
  const { classes, targets } = classify(Array.from(rows, (row) => label(row) ?? ""), spec.positiveClass);
  const used = table.columns.filter(({ name }) => name !== spec.targetColumn);
  let fitted: FittedTable = { features: [], width: 0, names: [], warnings: [] };
  let encode = tableEncoder(fitted, used);
  return {
    rowCount: rows.length,
    get width() {
      return fitted.width;
    },
    classes,
    targets,
    fit(trainingRows) {
      fitted = fitTable(used, trainingRows.map((row) => rows[row] ?? 0), { missingValues });
      encode = tableEncoder(fitted, used);
    },
    fill: (row, target, offset) => encode(rows[row] ?? 0, target, offset),
    inputs: (graph) => tableGraph(graph, fitted),
    outputs: (graph, logits) => besideInputs(fitted.features.map(({ column }) => column), { ...classOutputs(graph, logits, classes) }),
  };
}

/** The class of a row as a text; undefined = missing. */
function labelsOf(column: ColumnData): (row: number) => string | undefined {
  switch (column.kind) {
    case "numeric":
    case "datetime":
      return (row) => (Number.isNaN(column.values[row]) ? undefined : f32Text(column.values[row] as number));
    case "text":
      return (row) => column.text(row);
    default:
      return (row) => column.categories[column.codes[row] as number];
  }
}

/** Outputs whose names no column has: a column may well be called "label". */
function besideInputs(inputs: readonly string[], outputs: Readonly<Record<string, Value>>): Record<string, Value> {
  const free = (name: string): string => (inputs.includes(name) ? free(`predicted_${name}`) : name);
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [free(name), value]));
}

function imageProblem({ rowCount, shape, labels, classes: names, read }: LabelledImages, { spec }: AttemptInput): LearningProblem {
  const width = shape.reduce((product, size) => product * size, 1);
  const { classes, targets } = classify(Array.from(labels, (label) => names[label] ?? ""), spec.positiveClass);
  return {
    rowCount,
    width,
    classes,
    targets,
    fit: () => {},
    fill(row, target, offset) {
      read(row, target, offset);
      for (let index = offset; index < offset + width; index++) target[index] = (target[index] as number) / PIXEL_MAX;
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
