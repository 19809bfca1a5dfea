import { open } from "node:fs/promises";
import { extname } from "node:path";
import { Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { StatusError } from "@servable/errors";

/** Names of formats for `--format`. */
export const DATASET_FORMATS = {
  csv: Dataset_Format.CSV,
  jsonl: Dataset_Format.JSONL,
  parquet: Dataset_Format.PARQUET,
  npz: Dataset_Format.NPZ,
  "image-zip": Dataset_Format.IMAGE_ZIP,
  text: Dataset_Format.TEXT,
  chat: Dataset_Format.CHAT,
} as const;

const BY_EXTENSION: Readonly<Record<string, keyof typeof DATASET_FORMATS>> = { ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet", ".npz": "npz", ".zip": "image-zip", ".txt": "text", ".text": "text", ".md": "text" };
const HEAD_BYTES = 4_096;

/**
 * What a file is: by how it begins where that says it, else by its name. Lines of JSON are conversations where the first one
 * has messages or a prompt.
 *
 * @throws StatusError `FIELD_INVALID` when neither says it, or the file cannot be read
 */
export async function formatOf(path: string): Promise<Dataset_Format> {
  const head = await headOf(path);
  const extension = extname(path).toLowerCase();
  if (head.startsWith("PAR1")) return Dataset_Format.PARQUET;
  if (head.startsWith("PK\x03\x04")) return extension === ".npz" || /^[^/\0]{1,100}\.npy/.test(head.slice(30)) ? Dataset_Format.NPZ : Dataset_Format.IMAGE_ZIP;
  if (head.trimStart().startsWith("{") && extension !== ".txt") return /"(messages|prompt|completion)"\s*:/.test(head.trimStart().split("\n")[0] ?? "") ? Dataset_Format.CHAT : Dataset_Format.JSONL;
  const named = BY_EXTENSION[extension];
  if (named !== undefined) return DATASET_FORMATS[named];
  const advice = head.trimStart().startsWith("[") ? "it begins like a list of JSON objects: write one object a line (.jsonl)" : `say it with --format ${Object.keys(DATASET_FORMATS).join(", ")}`;
  throw new StatusError("FIELD_INVALID", `what ${path} holds cannot be told from its name or its first bytes: ${advice}`, { metadata: { field: "data" } });
}

async function headOf(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.toString("latin1", 0, bytesRead).replace(/^\xef\xbb\xbf/, "");
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `${path} cannot be read: ${(error as Error).message}`, { metadata: { field: "data" }, cause: error });
  }
}
