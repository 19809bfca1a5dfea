import type { TextLines } from "./dataset-table.ts";
import { malformedAt, tooLarge } from "./malformed.ts";
import { textLines } from "./text-pieces.ts";
import { TextStore } from "./text-store.ts";

/** Reads a text; its lines are the rows, blank ones too, so that joined they are the document. */
export async function readTextLines(path: string, rowsMax: number): Promise<TextLines> {
  const store = new TextStore();
  let hasText = false;
  for await (const { text } of textLines(path)) {
    if (store.count >= rowsMax) throw tooLarge(`the text has more than ${rowsMax} lines`, "SERVABLE_DATASET_ROWS_MAX");
    store.push(text);
    hasText ||= text.trim() !== "";
  }
  if (!hasText) throw malformedAt("line", 1, "the file holds no text");
  return { kind: "texts", rowCount: store.count, text: (row) => store.text(row) ?? "" };
}
