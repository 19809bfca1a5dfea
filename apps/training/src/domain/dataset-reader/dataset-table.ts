// What the readers give: a data set in memory that is bounded by its cells, not by its texts. The trainer's tasks stand on
// these types alone and do not know which format a data set came in.

import type { ColumnData } from "@servable/preprocessing";
import type { ColumnKind, DatasetFormat } from "../records.ts";

/** What the trainer knows of a data set: its files, and how the data set's record says to read them. */
export interface DatasetInput {
  readonly format: DatasetFormat;
  readonly files: readonly { readonly role: string; readonly path: string }[];
  /** Every column with its kind, as inferred or stated at the upload. */
  readonly columns: readonly { readonly name: string; readonly kind: ColumnKind }[];
  readonly missingValues: readonly string[];
  /** Names of the columns of a CSV that has no header line. */
  readonly header?: readonly string[] | undefined;
  /** Rows that cannot be read are left out, as they were at the upload; otherwise they are refused. */
  readonly skipBadRows?: boolean | undefined;
  /** Size of the images, [height, width, channels], where a zip's pictures are brought to one. */
  readonly imageShape?: readonly number[] | undefined;
}

/** How a data set is opened. */
export interface OpenOptions {
  /** Folder for what is decoded once and read often (pixels of a zip's pictures); needed for zips only. */
  readonly cacheDir?: string | undefined;
  /** Columns to read; absent = all that are not ignored. */
  readonly only?: readonly string[] | undefined;
  /** Columns to be packed as another kind than their own, also ignored ones; rows are checked against their own kind all the same. */
  readonly readAs?: Readonly<Record<string, Exclude<ColumnKind, "ignored">>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A table: columns of the same length. Ignored columns are not there. */
export interface TableSet {
  readonly kind: "table";
  readonly rowCount: number;
  readonly columns: readonly ColumnData[];
  /** @throws StatusError `FIELD_INVALID` when there is none of that name */
  column(name: string): ColumnData;
  /** Where a row stands in its file, for messages: "line 17" or "row 17". */
  readonly placeOf: (row: number) => string;
}

/** Images with a label each. */
export interface LabelledImages {
  readonly kind: "images";
  readonly rowCount: number;
  /** Height, width, channels. */
  readonly shape: readonly [number, number, number];
  /** Distinct labels; ascending as numbers where all are, else by the alphabet. */
  readonly classes: readonly string[];
  /** Index of each image's label in {@link classes}. */
  readonly labels: Uint32Array;
  /** Writes the raw pixels of an image (0 to 255 for bytes), row after row, channels last. */
  readonly read: (row: number, target: Float32Array, offset: number) => void;
}

/** Texts to model: the lines of one document. Joined by "\n" they are the document. */
export interface TextLines {
  readonly kind: "texts";
  readonly rowCount: number;
  text(row: number): string;
}

/** One turn of a conversation. */
export interface ChatMessage {
  readonly role: "system" | "user" | "assistant" | "tool" | "developer";
  readonly content: string;
  /** 0 = not to be learned from (OpenAI's `weight`). */
  readonly weight?: 0 | 1 | undefined;
}

/** One example of a fine-tune: a conversation, or the older pair of prompt and completion. */
export type ChatExample = { readonly messages: readonly ChatMessage[] } | { readonly prompt: string; readonly completion: string };

/** Examples of conversations. */
export interface ChatExamples {
  readonly kind: "chats";
  readonly rowCount: number;
  example(row: number): ChatExample;
}

/** An opened data set. */
export type OpenedDataset = (TableSet | LabelledImages | TextLines | ChatExamples) & Disposable;

/** Rows of a split, by part; a row may be in none. */
export interface SplitRows {
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
  readonly test: Uint32Array;
}
