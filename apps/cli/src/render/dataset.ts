import { Column_Kind, DatasetSplit_Method, Dataset_Format, type Column, type ColumnStatistics, type Dataset, type DatasetSplit } from "@servable/contracts/training/v1/dataset";
import { lastPart } from "../common-options.ts";
import { formatBytes, renderTable } from "./table.ts";

const LEVELS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const CATEGORIES_SHOWN = 4;
const SKIPPED_SHOWN = 10;
const WIDTH_MAX = 24;

/** A data set for people: what it is, its columns with a small plot each, splits, warnings and what was left out. */
export function renderDataset(dataset: Dataset): string {
  const { columns, splits, warnings, skippedRows } = dataset;
  const parts = [headOf(dataset)];
  if (columns.length > 0) parts.push(renderTable(["column", "kind", "missing", "values", "distribution"], columns.map(columnRow)));
  if (dataset.labelClasses.length > 0) parts.push(classes(dataset));
  if (splits.length > 0) parts.push(renderSplits(splits));
  if (warnings.length > 0) parts.push(warnings.map((warning) => `! ${warning}`).join("\n"));
  if (skippedRows.length > 0) {
    const more = skippedRows.length > SKIPPED_SHOWN ? [`  … and ${skippedRows.length - SKIPPED_SHOWN} more (--json lists all)`] : [];
    parts.push([`${skippedRows.length} rows were left out:`, ...skippedRows.slice(0, SKIPPED_SHOWN).map(({ place, reason }) => `  ${place}: ${reason}`), ...more].join("\n"));
  }
  return parts.join("\n\n");
}

/** Splits as a table. */
export function renderSplits(splits: readonly DatasetSplit[]): string {
  return renderTable(["split", "method", "column", "training", "validation", "test", "seed"], splits.map((split) => [split.splitId, DatasetSplit_Method[split.method].toLowerCase(), split.column, split.trainingRowCount, split.validationRowCount, split.testRowCount, split.seed]));
}

/** One line that tells what a data set is. */
function headOf(dataset: Dataset): string {
  const what = dataset.imageShape.length > 0 ? `images of ${dataset.imageShape.join("×")}` : dataset.format === Dataset_Format.TEXT ? "lines of text" : dataset.format === Dataset_Format.CHAT ? "conversations" : "rows";
  return `${lastPart(dataset.name)} version ${dataset.version}: ${dataset.rowCount} ${what}, ${formatBytes(dataset.sizeBytes)}, ${dataset.digest.slice(0, 19)}`;
}

function columnRow({ name, kind, missingCount, categories, mean, standardDeviation, statistics }: Column): (string | bigint)[] {
  return [name, Column_Kind[kind].toLowerCase(), missingCount, valuesOf(kind, categories, mean, standardDeviation, statistics), plotOf(kind, statistics)];
}

function valuesOf(kind: Column_Kind, categories: readonly string[], mean: number, deviation: number, statistics: ColumnStatistics | undefined): string {
  switch (kind) {
    case Column_Kind.NUMERIC:
      return `${short(mean)} ± ${short(deviation)}${statistics?.min === undefined ? "" : `, ${short(statistics.min)} to ${short(statistics.max ?? NaN)}`}`;
    case Column_Kind.DATETIME:
      return statistics?.min === undefined ? "" : `${day(statistics.min)} to ${day(statistics.max ?? NaN)}`;
    case Column_Kind.CATEGORICAL:
    case Column_Kind.BOOLEAN: {
      const total = Number(statistics?.presentCount ?? 0n);
      const shares = categories.slice(0, CATEGORIES_SHOWN).map((category, index) => {
        const count = statistics?.categoryCounts[index];
        return `${clipped(category)}${count === undefined ? "" : ` ${Math.round((100 * Number(count)) / Math.max(1, total))} %`}`;
      });
      return shares.join(", ") + (categories.length > CATEGORIES_SHOWN ? `, … ${categories.length} in all` : "");
    }
    default:
      return statistics === undefined ? "" : `${statistics.meanLength.toFixed(0)} characters on average`;
  }
}

function plotOf(kind: Column_Kind, statistics: ColumnStatistics | undefined): string {
  if (statistics === undefined) return "";
  if (kind === Column_Kind.CATEGORICAL || kind === Column_Kind.BOOLEAN) return bars(statistics.categoryCounts.slice(0, 20).map(Number));
  return bars(statistics.histogramShares);
}

/** A bar for each value, as high as its part of the largest; nothing for nothing. */
export function bars(values: readonly number[]): string {
  const largest = Math.max(0, ...values);
  if (largest === 0) return "";
  return values.map((value) => (value === 0 ? " " : (LEVELS[Math.min(LEVELS.length - 1, Math.floor((value / largest) * LEVELS.length))] ?? " "))).join("").trimEnd();
}

function classes({ labelClasses, labelClassCounts }: Dataset): string {
  const shown = labelClasses.slice(0, 20).map((name, index) => [clipped(name), labelClassCounts[index] ?? 0n, bars([Number(labelClassCounts[index] ?? 0n), ...labelClassCounts.map(Number)]).slice(0, 1)]);
  return renderTable(["class", "images", ""], shown) + (labelClasses.length > 20 ? `\n… ${labelClasses.length} classes in all` : "");
}

function short(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function day(ms: number): string {
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString().slice(0, 10);
}

function clipped(text: string): string {
  return text.length > WIDTH_MAX ? `${text.slice(0, WIDTH_MAX - 1)}…` : text;
}
