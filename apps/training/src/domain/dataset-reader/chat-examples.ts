import type { SkippedRow } from "../records.ts";
import { BadRows } from "./bad-rows.ts";
import type { ChatExample, ChatExamples } from "./dataset-table.ts";
import { parseObject } from "./jsonl-source.ts";
import { malformedAt, shown, tooLarge } from "./malformed.ts";
import { textLines } from "./text-pieces.ts";
import { TextStore } from "./text-store.ts";

const ROLES = ["system", "user", "assistant", "tool", "developer"];

/**
 * Reads examples as OpenAI's fine-tuning takes them: a JSON object a line, {"messages": [{"role", "content"}]} with a turn of
 * the assistant to learn from, or {"prompt", "completion"}.
 *
 * @throws StatusError `DATASET_MALFORMED` naming line and field, `DATASET_TOO_LARGE`
 */
export async function readChatExamples(path: string, { rowsMax, skipBadRows }: { rowsMax: number; skipBadRows: boolean }): Promise<ChatExamples & { readonly skippedRows: readonly SkippedRow[] }> {
  const store = new TextStore();
  const bad = new BadRows(skipBadRows);
  for await (const { text, line } of textLines(path)) {
    if (text.trim() === "") continue;
    if (store.count >= rowsMax) throw tooLarge(`there are more than ${rowsMax} examples`, "SERVABLE_DATASET_ROWS_MAX");
    const problem = problemOfExample(text);
    if (problem === undefined) store.push(text);
    else bad.add(`line ${line}`, problem);
  }
  const skippedRows = bad.finish();
  if (store.count === 0) throw malformedAt("line", 1, "there are no examples");
  return { kind: "chats", rowCount: store.count, example: (row) => JSON.parse(store.text(row) ?? "") as ChatExample, skippedRows };
}

/** What is wrong with an example; undefined = nothing. */
export function problemOfExample(text: string): string | undefined {
  const object = parseObject(text);
  if (typeof object === "string") return object;
  const { messages, prompt, completion } = object;
  if (messages === undefined) {
    if (typeof prompt !== "string" || typeof completion !== "string") return 'the line has neither "messages" nor the texts "prompt" and "completion"';
    return completion === "" ? '"completion" is empty: there is nothing to learn' : undefined;
  }
  if (!Array.isArray(messages) || messages.length === 0) return '"messages" must be a list with at least one message';
  let learned = 0;
  for (const [index, message] of (messages as unknown[]).entries()) {
    const field = `messages[${index}]`;
    if (typeof message !== "object" || message === null) return `${field} is no object`;
    const { role, content, weight } = message as Record<string, unknown>;
    if (typeof role !== "string" || !ROLES.includes(role)) return `${field}.role is ${shown(JSON.stringify(role) ?? "not there")}, it must be one of ${ROLES.join(", ")}`;
    if (typeof content !== "string") return `${field}.content must be a text`;
    if (weight !== undefined && weight !== 0 && weight !== 1) return `${field}.weight must be 0 or 1`;
    if (role === "assistant" && weight !== 0) learned++;
  }
  return learned === 0 ? '"messages" has no message of the assistant to learn from' : undefined;
}
