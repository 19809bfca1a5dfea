import type { ReportInput } from "./report-input.ts";
import { limitsOf, metricText, numberText } from "./report-words.ts";

/** Rows of tables; a card is read, not searched. */
const ROWS_MAX = 100;

/**
 * The model card: what the model is for, what it learned from, how good it is and where it is not, as Markdown. Text of the
 * input cannot become markup.
 *
 * Source: the sections of Mitchell et al., Model Cards for Model Reporting (2019), table 1.
 */
export function renderModelCard({ title, intendedUse, evaluation, data = {}, run = {}, limits = [] }: ReportInput): string {
  const { kind, rowCount, metrics, classMetrics, slices } = evaluation;
  const parts = [
    `# Model card: ${text(title)}`,
    "## Intended use",
    intendedUse === undefined || intendedUse === "" ? "_Not stated. Say who may use this model, for what, and for what not._" : text(intendedUse),
    "## Metrics",
    `On ${rowCount} ${kind === "language_model" ? "texts" : "rows"} that it was not trained on.`,
    table(["metric", "value"], Object.entries(metrics).map(([name, metric]) => [name, metricText(metric)])),
    ...(classMetrics.length === 0 ? [] : ["## Classes", table(["class", "rows", "precision", "recall", "F1"], classMetrics.map((own) => [own.class, String(own.rowCount), numberText(own.precision), numberText(own.recall), numberText(own.f1)]))]),
    ...(slices.length === 0 ? [] : ["## Slices", table(["slice", "rows", "metrics"], slices.map((slice) => [`${slice.column}: ${slice.value}`, String(slice.rowCount), slice.tooSmall ? "too few rows" : Object.entries(slice.metrics).map(([name, metric]) => `${name} ${metricText(metric)}`).join(", ")]))]),
    "## Limits",
    [...limits, ...limitsOf(evaluation)].map((sentence) => `- ${text(sentence)}`).join("\n"),
    ...(Object.keys(data).length === 0 ? [] : ["## Data", table(["", ""], Object.entries(data))]),
    ...(Object.keys(run).length === 0 ? [] : ["## Training record", table(["", ""], Object.entries(run))]),
  ];
  return `${parts.join("\n\n")}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows.slice(0, ROWS_MAX).map((row) => row.map(text))];
  const more = rows.length > ROWS_MAX ? `\n\n… and ${rows.length - ROWS_MAX} more.` : "";
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n") + more;
}

/** Text that Markdown, and HTML inside it, takes as text; on one line. */
function text(value: string): string {
  return value.replace(/\s+/g, " ").replace(/[\\`*_[\]|#~!]/g, "\\$&").replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
