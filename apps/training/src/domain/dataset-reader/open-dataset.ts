import type { DatasetInput, LabelledImages, OpenOptions, OpenedDataset } from "./dataset-table.ts";
import { readChatExamples } from "./chat-examples.ts";
import { openImageZip } from "./image-zip.ts";
import { readImages, type ImageSet } from "./images.ts";
import { readNpzImages } from "./npz.ts";
import { readTable } from "./read-table.ts";
import { isTableFormat, pathOf, tableSource } from "./table-source.ts";
import { readTextLines } from "./text-lines.ts";

/** The upload held the data set against the limits; a limit that was lowered since is no reason to refuse it. */
const NO_LIMITS = { rowsMax: Infinity, columnsMax: Infinity };
const NOTHING_TO_CLOSE = { [Symbol.dispose]: () => {} };

/**
 * Opens a stored data set of any format for training.
 *
 * @throws StatusError `DATASET_MALFORMED`, `FIELD_INVALID`
 */
export async function openDataset(input: DatasetInput, options: OpenOptions = {}): Promise<OpenedDataset> {
  const { format, files, skipBadRows = false } = input;
  if (isTableFormat(format)) return { ...(await readTable(tableSource(format, { ...input, limits: NO_LIMITS }), input, options)), ...NOTHING_TO_CLOSE };
  switch (format) {
    case "idx":
    case "npy":
      return { ...inMemory(readImages(format, files, Infinity)), ...NOTHING_TO_CLOSE };
    case "text":
      return { ...(await readTextLines(pathOf(files, "data"), Infinity)), ...NOTHING_TO_CLOSE };
    case "chat":
      return { ...(await readChatExamples(pathOf(files, "data"), { rowsMax: Infinity, skipBadRows })), ...NOTHING_TO_CLOSE };
    case "npz":
      return { ...inMemory(await readNpzImages(pathOf(files, "data"), Infinity)), ...NOTHING_TO_CLOSE };
    case "image_zip":
      return openImageZip(input, options);
    default: {
      const never: never = format;
      throw new TypeError(`unknown format ${String(never)}`);
    }
  }
}

function inMemory({ shape, count, pixels, labels, classes }: ImageSet): LabelledImages {
  const size = shape[0] * shape[1] * shape[2];
  return {
    kind: "images",
    rowCount: count,
    shape,
    classes,
    labels,
    read(row, target, offset) {
      for (let index = 0, from = row * size; index < size; index++) target[offset + index] = pixels[from + index] as number;
    },
  };
}
