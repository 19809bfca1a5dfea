import { StatusError } from "@servable/errors";
import type { ColumnData } from "@servable/preprocessing";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";

/** Classes, and which one each row is of. */
export interface ClassTargets {
  readonly classes: readonly string[];
  /** Index into {@link classes}; -1 = the row has none. */
  readonly targets: Int32Array;
}

const CLASSES_MAX = 10_000;

/**
 * The classes of a column; numbers count as classes by their digits. With a positive class it is that one against the rest.
 *
 * @throws StatusError `TARGET_UNSUITABLE` for one class or none, or a column of free texts or moments
 */
export function columnClasses(column: ColumnData, positiveClass: string): ClassTargets {
  const where = `column "${column.name}"`;
  switch (column.kind) {
    case "categorical":
    case "boolean":
      return classTargets(column.categories, column.codes, positiveClass, where);
    case "numeric": {
      const labels: string[] = [];
      const known = new Map<number, number>();
      const codes = Int32Array.from(column.values, (value) => {
        if (Number.isNaN(value)) return -1;
        const before = known.get(value);
        if (before !== undefined) return before;
        known.set(value, labels.length);
        // Numbers are kept in f32: seven digits are what the file said.
        return labels.push(String(Number(value.toPrecision(7)))) - 1;
      });
      return classTargets(labels, codes, positiveClass, where);
    }
    case "text": {
      throw unsuitable(`${where} holds free texts: declare it categorical to tell its values apart`);
    }
    case "datetime":
      throw unsuitable(`${where} holds moments, which are no classes`);
    default: {
      const never: never = column;
      return never;
    }
  }
}

/**
 * Classes out of labels and their codes, in ascending order: as numbers where all are, else by the alphabet.
 *
 * @throws StatusError `TARGET_UNSUITABLE` for fewer than two
 */
export function classTargets(labels: readonly string[], codes: ArrayLike<number>, positiveClass: string, where: string): ClassTargets {
  const used = new Set<number>();
  for (let row = 0; row < codes.length; row++) if ((codes[row] ?? -1) >= 0) used.add(codes[row] ?? -1);
  if (positiveClass !== "") {
    const positive = labels.indexOf(positiveClass);
    if (positive < 0 || !used.has(positive)) throw unsuitable(`no row of ${where} has the class "${positiveClass}"`, "positive_class");
    if (used.size < 2) throw unsuitable(`every row of ${where} has the class "${positiveClass}"`, "positive_class");
    return { classes: [`not ${positiveClass}`, positiveClass], targets: Int32Array.from(codes, (code) => (code < 0 ? -1 : code === positive ? 1 : 0)) };
  }
  if (used.size === 0) throw unsuitable(`${where} has no value in any row`);
  if (used.size === 1) throw unsuitable(`every row of ${where} has the class "${labels[[...used][0] ?? 0] ?? ""}": there is nothing to tell apart`);
  if (used.size > CLASSES_MAX) throw unsuitable(`${where} has ${used.size} classes, at most ${CLASSES_MAX} are learned`);
  const order = [...used].sort(ascending(labels));
  const place = new Int32Array(labels.length).fill(-1);
  order.forEach((code, index) => (place[code] = index));
  return { classes: order.map((code) => labels[code] ?? ""), targets: Int32Array.from(codes, (code) => (code < 0 ? -1 : (place[code] ?? -1))) };
}

/** Weight of each class; undefined where all are 1. @throws StatusError `FIELD_INVALID` for a class that there is not */
export function weightsOfClasses(classes: readonly string[], { classWeights }: Pick<TrainingSpecRecord, "classWeights">): readonly number[] | undefined {
  const unknown = Object.keys(classWeights).find((name) => !classes.includes(name));
  if (unknown !== undefined) throw new StatusError("FIELD_INVALID", `training_job.spec.class_weights names "${unknown}", which is no class: there are ${classes.slice(0, 10).join(", ")}`, { metadata: { field: "training_job.spec.class_weights" } });
  return Object.keys(classWeights).length === 0 ? undefined : classes.map((name) => classWeights[name] ?? 1);
}

function ascending(labels: readonly string[]): (a: number, b: number) => number {
  const numeric = labels.every((label) => label.trim() !== "" && Number.isFinite(Number(label)));
  return (a, b) => {
    const [left = "", right = ""] = [labels[a], labels[b]];
    return numeric ? Number(left) - Number(right) : left < right ? -1 : 1;
  };
}

function unsuitable(what: string, field = "target_column"): StatusError {
  return new StatusError("TARGET_UNSUITABLE", `training_job.spec.${field}: ${what}; choose a target with at least two classes`, { metadata: { field: `training_job.spec.${field}` } });
}
