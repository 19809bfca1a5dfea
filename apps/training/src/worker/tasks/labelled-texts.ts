import type { ColumnData, TextData } from "@servable/preprocessing";
import type { ChatExamples, TableSet } from "../../domain/dataset-reader/dataset-table.ts";
import type { AttemptInput } from "../../domain/job-executor.ts";
import { classTargets, columnClasses, type ClassTargets } from "./class-targets.ts";
import { invalid } from "./task-rows.ts";

/** Texts with a class each. */
export interface LabelledTexts extends ClassTargets {
  readonly rowCount: number;
  /** An empty one where the cell is missing. */
  text(row: number): string;
}

/** Texts of a table's column, classes of another. @throws StatusError `FIELD_INVALID`, `TARGET_UNSUITABLE` */
export function tableTexts(table: TableSet, { spec }: AttemptInput): LabelledTexts {
  const column = textColumn(table, spec.textColumn, spec.targetColumn);
  const text = textOf(column);
  const target = table.column(spec.targetColumn);
  // Few distinct texts are classes, whatever kind the column was declared.
  const targets = target.kind === "text" ? textClasses(target, table.rowCount, spec.positiveClass) : columnClasses(target, spec.positiveClass);
  return { rowCount: table.rowCount, text: (row) => text(row) ?? "", ...targets };
}

/** Conversations whose last turn of the assistant is the class of what was said before; or prompts and completions. */
export function chatTexts(chats: ChatExamples, { spec }: AttemptInput): LabelledTexts {
  const labels: string[] = [];
  const codes = new Map<string, number>();
  const targets = Int32Array.from({ length: chats.rowCount }, (_, row) => {
    const label = labelOf(chats, row);
    const known = codes.get(label);
    if (known !== undefined) return known;
    codes.set(label, labels.length);
    return labels.push(label) - 1;
  });
  return { rowCount: chats.rowCount, text: (row) => promptOf(chats, row), ...classTargets(labels, targets, spec.positiveClass, "the assistant's answers") };
}

function labelOf(chats: ChatExamples, row: number): string {
  const example = chats.example(row);
  return ("messages" in example ? (example.messages.findLast(({ role, weight }) => role === "assistant" && weight !== 0)?.content ?? "") : example.completion).trim();
}

/** What the user said, turn by turn. */
function promptOf(chats: ChatExamples, row: number): string {
  const example = chats.example(row);
  if (!("messages" in example)) return example.prompt.trim();
  const last = example.messages.findLastIndex(({ role, weight }) => role === "assistant" && weight !== 0);
  return example.messages.slice(0, last).filter(({ role }) => role === "user").map(({ content }) => content.trim()).join("\n");
}

function textColumn(table: TableSet, name: string, target: string): ColumnData {
  if (name !== "") {
    if (name === target) throw invalid("text_column", `is "${name}", which is the target`);
    return table.column(name);
  }
  const others = table.columns.filter((column) => column.name !== target);
  const texts = others.filter(({ kind }) => kind === "text");
  const [only] = texts.length > 0 ? texts : others.filter(({ kind }) => kind === "categorical");
  if (only === undefined || texts.length > 1) throw invalid("text_column", `must name one of ${others.map((column) => `"${column.name}"`).slice(0, 10).join(", ")}: ${texts.length > 1 ? "several hold texts" : "none holds texts"}`);
  return only;
}

function textOf(column: ColumnData): (row: number) => string | undefined {
  if (column.kind === "text") return (row) => column.text(row);
  if (column.kind === "categorical") return (row) => column.categories[column.codes[row] ?? -1];
  throw invalid("text_column", `"${column.name}" is ${column.kind}, and texts are needed`);
}

function textClasses(column: TextData, rowCount: number, positiveClass: string): ClassTargets {
  const labels: string[] = [];
  const codes = new Map<string, number>();
  const targets = Int32Array.from({ length: rowCount }, (_, row) => {
    const label = column.text(row)?.trim() ?? "";
    if (label === "") return -1;
    const known = codes.get(label);
    if (known !== undefined) return known;
    codes.set(label, labels.length);
    return labels.push(label) - 1;
  });
  return classTargets(labels, targets, positiveClass, `column "${column.name}"`);
}
