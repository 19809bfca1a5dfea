import { open, type FileHandle } from "node:fs/promises";
import { StatusError } from "@servable/errors";
import { parquetMetadataAsync, parquetScan, parquetSchema, type AsyncBuffer, type Compressors, type FileMetaData, type ParquetParsers } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { malformed, tooLarge } from "./malformed.ts";
import type { Cell, RowSource, TableLimits } from "./row-source.ts";

/** Cells of one row group, which is unpacked as a whole. */
const GROUP_CELLS_MAX = 50_000_000;
/** Largest page that is unpacked: a header may claim any size for a few bytes. */
const PAGE_BYTES_MAX = 256 * 1024 ** 2;
/** Unpacked bytes of one row group, as its metadata states them. */
const GROUP_BYTES_MAX = 2 * 1024 ** 3;
/** Cells after which the event loop gets a turn. */
const ROWS_A_TURN = 8_192;

/** The rows of a Parquet file, one row group in memory at a time. Columns must be plain: no lists, no structures. */
export function parquetSource({ path, missingValues, limits }: { path: string; missingValues: readonly string[]; limits: TableLimits }): RowSource {
  return {
    unit: "row",
    async read(sink) {
      const missing = new Set(["", ...missingValues]);
      await using handle = await open(path);
      const file = await bufferOf(handle);
      const metadata = await reading("its end", () => parquetMetadataAsync(file));
      const names = await reading("its schema", () => Promise.resolve(columnsOf(metadata, limits)));
      checkGroups(metadata, names.length, limits);
      sink.columns(names);
      let row = 0;
      for (const [index, group] of metadata.row_groups.entries()) {
        const [rowStart, rowEnd] = [row, row + Number(group.num_rows)];
        if (rowEnd === rowStart) continue;
        const columns = await reading(`row group ${index + 1}`, async () => {
          // A scan keeps what it read last: one for each group, so that no group is kept beyond its turn.
          const scan = await parquetScan({ file, metadata, compressors: BOUNDED, parsers: PARSERS, rowStart, rowEnd });
          const read: ArrayLike<unknown>[] = [];
          for (const column of names) read.push(await scan.readColumn({ column, rowStart, rowEnd }));
          return read;
        });
        const short = columns.findIndex((column) => column.length !== rowEnd - rowStart);
        if (short >= 0) throw malformed("data", `row group ${index + 1}, column "${names[short]}": there are ${columns[short]?.length} values for ${rowEnd - rowStart} rows`);
        for (; row < rowEnd; row++) {
          const cells = columns.map((column) => cellOf(column[row - rowStart], missing));
          const strange = cells.findIndex((cell) => cell === UNREADABLE);
          if (strange >= 0) sink.bad(row + 1, `column ${strange + 1} ("${names[strange]}"): the value is binary or nested: only texts, numbers, booleans and times make a column`);
          else sink.row(cells as Cell[], row + 1);
          if (row % ROWS_A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
        }
      }
    },
  };
}

const UNREADABLE = Symbol("unreadable");

function cellOf(value: unknown, missing: ReadonlySet<string>): Cell | typeof UNREADABLE {
  switch (typeof value) {
    case "number":
      return Number.isNaN(value) ? undefined : value;
    case "string": {
      const text = value.trim();
      return missing.has(text) ? undefined : text;
    }
    case "boolean":
      return value;
    case "bigint":
      // Beyond 2^53 a number would be another one; as a text it stays itself.
      return value >= -(2n ** 53n) && value <= 2n ** 53n ? Number(value) : value.toString();
    case "undefined":
      return undefined;
    default:
      if (value === null) return undefined;
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value;
      return UNREADABLE;
  }
}

const PARSERS: Partial<ParquetParsers> = { jsonFromBytes: (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8") };

const BOUNDED: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, unpack]) => [
    codec,
    (input: Uint8Array, outputLength: number): Uint8Array => {
      if (!(outputLength >= 0 && outputLength <= PAGE_BYTES_MAX)) throw new Error(`a page claims ${outputLength} bytes, at most ${PAGE_BYTES_MAX} are unpacked`);
      return unpack(input, outputLength);
    },
  ]),
);

async function bufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  if (size < 12) throw malformed("data", "the file is too short for Parquet");
  return {
    byteLength: size,
    async slice(start, end = size) {
      // A damaged footer may point anywhere.
      if (!(start >= 0 && end <= size && start <= end)) throw malformed("data", `the file cannot be read as Parquet: it points to bytes ${start} to ${end} of ${size}`);
      const buffer = Buffer.alloc(end - start);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
      if (bytesRead !== buffer.length) throw malformed("data", "the file cannot be read as Parquet: it is cut off");
      return buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);
    },
  };
}

function columnsOf(metadata: FileMetaData, { columnsMax }: TableLimits): string[] {
  const { children } = parquetSchema(metadata);
  if (children.length > columnsMax) throw tooLarge(`the table has ${children.length} columns, at most ${columnsMax} are allowed`, "SERVABLE_DATASET_COLUMNS_MAX");
  for (const { element, children: inner } of children) {
    if (inner.length > 0 || element.repetition_type === "REPEATED") throw malformed("data", `column "${element.name}" is nested: flatten it before the upload`);
    if (element.converted_type === "INTERVAL" || element.converted_type === "BSON") throw malformed("data", `column "${element.name}" holds ${element.converted_type}, which makes no column: leave it out`);
  }
  const names = children.map(({ element }) => element.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw malformed("data", `two columns are called "${twice}"`);
  if (names.length === 0 || names.includes("")) throw malformed("data", names.length === 0 ? "there are no columns" : "a column has no name");
  return names;
}

function checkGroups(metadata: FileMetaData, columnCount: number, { rowsMax }: TableLimits): void {
  let rows = 0;
  for (const [index, { num_rows, columns }] of metadata.row_groups.entries()) {
    const count = Number(num_rows);
    if (!(count >= 0 && Number.isSafeInteger(count))) throw malformed("data", `row group ${index + 1} states ${num_rows} rows`);
    rows += count;
    if (rows > rowsMax) throw tooLarge(`the table has more than ${rowsMax} rows`, "SERVABLE_DATASET_ROWS_MAX");
    const bytes = columns.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0);
    if (count * columnCount > GROUP_CELLS_MAX || bytes > GROUP_BYTES_MAX) {
      throw tooLarge(`row group ${index + 1} has ${count} rows of ${columnCount} columns (${bytes} bytes unpacked): write the file with smaller row groups, at most ${GROUP_CELLS_MAX} cells and ${GROUP_BYTES_MAX} bytes each`);
    }
  }
}

/** What the reader of a damaged file says becomes one complaint. */
async function reading<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw malformed("data", `${what} cannot be read as Parquet (${String((error as Error).message).replaceAll(/\s+/g, " ").slice(0, 160)})`);
  }
}
