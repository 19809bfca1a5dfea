import type { Inspection } from "../dataset-inspector.ts";

/** The classes with their rows, and a warning for each that has one. */
export function labelCounts(classes: readonly string[], labels: Uint32Array): Pick<Inspection, "labelClasses" | "labelClassCounts" | "warnings"> {
  const counts = new Array<number>(classes.length).fill(0);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  const rare = classes.filter((_, index) => counts[index] === 1);
  return { labelClasses: classes, labelClassCounts: counts, warnings: rare.slice(0, 20).map((name) => `class "${name}" has one row: it cannot be trained and validated`) };
}
