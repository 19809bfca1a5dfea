import { StatusError } from "@servable/errors";
import yauzl from "yauzl";
import { malformed, tooLarge } from "./malformed.ts";

/** Bounds of an archive: the central directory states sizes, and no entry may give more than it states. */
export interface ZipLimits {
  readonly entriesMax: number;
  readonly entryBytesMax: number;
  readonly totalBytesMax: number;
}

/** A file in an archive. */
export interface ZipFile {
  /** Relative, with forward slashes, never upwards. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Unpacks it. @throws StatusError `DATASET_MALFORMED` */
  read(): Promise<Buffer>;
}

/** An opened archive; nothing of it is ever written under its own names. */
export interface ZipArchive extends Disposable {
  /** The files by path. */
  readonly files: readonly ZipFile[];
}

/** How often larger the contents may be than the archive: photographs are no smaller, zeros a thousand times. */
const RATIO_MAX = 1_100;

/**
 * Opens a zip and lists its files.
 *
 * @throws StatusError `DATASET_MALFORMED` (no zip, encrypted, paths that lead out), `DATASET_TOO_LARGE`
 */
export async function openZip(path: string, { entriesMax, entryBytesMax, totalBytesMax }: ZipLimits): Promise<ZipArchive> {
  const archive = await reading("the file", () => yauzl.openPromise(path, { lazyEntries: true, autoClose: false, validateEntrySizes: true, strictFileNames: false }));
  try {
    if (archive.entryCount > 2 * entriesMax) throw tooLarge(`the archive has ${archive.entryCount} entries, at most ${entriesMax} are read`);
    const files: ZipFile[] = [];
    const seen = new Set<string>();
    let [total, packed] = [0, 0];
    await reading("its directory", async () => {
      for await (const entry of archive.eachEntry()) {
        if (entry.fileName.endsWith("/")) continue;
        if (seen.has(entry.fileName)) throw malformed("data", `the archive has "${entry.fileName}" twice`);
        seen.add(entry.fileName);
        if (entry.isEncrypted()) throw malformed("data", `"${entry.fileName}" is encrypted: pack it without a password`);
        if (files.length >= entriesMax) throw tooLarge(`the archive has more than ${entriesMax} files`, "SERVABLE_DATASET_ROWS_MAX");
        if (entry.uncompressedSize > entryBytesMax) throw tooLarge(`"${entry.fileName}" has ${entry.uncompressedSize} bytes unpacked, at most ${entryBytesMax} are allowed`);
        total += entry.uncompressedSize;
        packed += entry.compressedSize;
        if (total > totalBytesMax) throw tooLarge(`the archive has more than ${totalBytesMax} bytes unpacked`);
        files.push({ path: entry.fileName, sizeBytes: entry.uncompressedSize, read: () => reading(`"${entry.fileName}"`, async () => unpacked(await archive.openReadStreamPromise(entry), entry.uncompressedSize)) });
      }
    });
    // Entries that share their bytes (Fifield 2019) state more than the file can hold.
    if (packed > archive.fileSize) throw malformed("data", "entries of the archive overlap: it was made to grow when unpacked");
    if (total > RATIO_MAX * Math.max(1, archive.fileSize)) throw tooLarge(`the archive grows more than ${RATIO_MAX} times when unpacked`);
    files.sort((a, b) => (a.path < b.path ? -1 : 1));
    return { files, [Symbol.dispose]: () => archive.close() };
  } catch (error) {
    archive.close();
    throw error;
  }
}

async function unpacked(stream: NodeJS.ReadableStream, sizeBytes: number): Promise<Buffer> {
  const bytes = Buffer.alloc(sizeBytes);
  let at = 0;
  for await (const chunk of stream) {
    const part = chunk as Buffer;
    if (at + part.length > sizeBytes) throw new Error("it holds more than its directory states");
    part.copy(bytes, at);
    at += part.length;
  }
  if (at !== sizeBytes) throw new Error("it is cut off");
  return bytes;
}

async function reading<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw malformed("data", `${what} cannot be read as zip (${String((error as Error).message).replaceAll(/\s+/g, " ").slice(0, 160)})`);
  }
}
