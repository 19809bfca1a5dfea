import { open, rename } from "node:fs/promises";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { createImageDecoder, type ImageSpec } from "@servable/images";
import { StatusError } from "@servable/errors";
import type { Inspection, InspectionRequest } from "../dataset-inspector.ts";
import type { SkippedRow } from "../records.ts";
import { BadRows } from "./bad-rows.ts";
import type { DatasetInput, LabelledImages, OpenOptions } from "./dataset-table.ts";
import { labelCounts } from "./label-counts.ts";
import { labelled } from "./images.ts";
import { malformed } from "./malformed.ts";
import { pathOf } from "./table-source.ts";
import { openZip, type ZipArchive, type ZipFile } from "./zip-files.ts";

/** Largest picture file, as the decoder takes it. */
const PICTURE_BYTES_MAX = 32 * 1024 ** 2;
/** Unpacked bytes of all pictures. */
const PICTURES_BYTES_MAX = 64 * 1024 ** 3;
/** Side of the square that pictures of several sizes are brought to, at most: what vision models take. */
const SIDE_MAX = 224;
/** Longest side that pictures may be brought to by request. */
const SIDE_STATED_MAX = 4_096;
/** Pixels in memory where there is no folder to keep them in. */
const MEMORY_BYTES_MAX = 1024 ** 3;
/** What systems leave in archives. */
const LITTER = /(^|\/)(__MACOSX\/|\.|Thumbs\.db$|desktop\.ini$)/;
const PICTURE = /\.(jpe?g|png|webp|gif|tiff?|avif|bmp)$/i;

/**
 * Looks at every picture of a zip: its class is the folder it lies in, one that cannot be decoded is a bad row.
 *
 * @throws StatusError `DATASET_MALFORMED`, `DATASET_TOO_LARGE`, `FIELD_INVALID`
 */
export async function inspectImageZip({ files, limits, skipBadRows, imageShape }: Pick<InspectionRequest, "files" | "limits" | "skipBadRows" | "imageShape">, signal: AbortSignal): Promise<Inspection> {
  const stated = statedShape(imageShape);
  using archive = await openPictures(pathOf(files, "data"), limits.rowsMax);
  await using decoder = createImageDecoder();
  const sizes = new Map<string, number>();
  const shorter: number[] = [];
  const { kept, skippedRows } = await eachPicture(archive, skipBadRows, signal, async (bytes) => {
    const { width, height } = await decoder.picture(bytes, SIDE_MAX, signal);
    sizes.set(`${height},${width}`, (sizes.get(`${height},${width}`) ?? 0) + 1);
    shorter.push(Math.min(width, height));
  });
  const labels = labelled(kept.map(classOf));
  const counts = labelCounts(labels.classes, labels.labels);
  const [only] = sizes.keys();
  const side = Math.min(SIDE_MAX, shorter.sort((a, b) => a - b)[shorter.length >> 1] ?? SIDE_MAX);
  const common = only?.split(",").map(Number) ?? [];
  const shape = stated ?? (sizes.size === 1 && common.every((length) => length <= SIDE_STATED_MAX) ? [...common, 3] : [side, side, 3]);
  const resized = sizes.size > 1 || common[0] !== shape[0] || common[1] !== shape[1];
  return {
    rowCount: kept.length,
    columns: [],
    imageShape: shape,
    ...counts,
    skippedRows,
    warnings: [...(resized ? [`the pictures have ${sizes.size} sizes: each is brought to ${shape[1]}×${shape[0]} by cutting its middle out and resizing it; another size is stated by image_shape`] : []), ...counts.warnings],
  };
}

/** Opens a zip's pictures for training: each is decoded once, into one file of raw pixels in the cache folder. */
export async function openImageZip({ files, skipBadRows = false, imageShape = [] }: DatasetInput, { cacheDir, signal = new AbortController().signal }: OpenOptions): Promise<LabelledImages & Disposable> {
  const shape = statedShape(imageShape);
  if (shape === undefined) throw new StatusError("FIELD_REQUIRED", "image_shape: the size of the images is not known", { metadata: { field: "image_shape" } });
  const size = shape[0] * shape[1] * shape[2];
  using archive = await openPictures(pathOf(files, "data"), Infinity);
  if (cacheDir === undefined && archive.files.length * size > MEMORY_BYTES_MAX) throw new TypeError("so many pixels need a cacheDir");
  const spec = pictureSpec(shape);
  const pixels = cacheDir === undefined ? undefined : join(cacheDir, `pixels-${shape.join("x")}.bin`);
  const inMemory: Uint8Array[] = [];
  const isCached = pixels !== undefined && existsSync(pixels);
  let kept: readonly ZipFile[];
  {
    await using decoder = createImageDecoder();
    const part = pixels === undefined || isCached ? undefined : await open(`${pixels}.part`, "w");
    try {
      // A complete cache says which pictures were left out only by the pictures themselves, which are not decoded again.
      kept = isCached ? await knownPictures(archive, `${pixels}.paths`) : (await eachPicture(archive, skipBadRows, signal, async (bytes) => {
        const { data } = await decoder.tensor(bytes, spec, signal);
        if (part === undefined) inMemory.push(data);
        else await part.write(data);
      })).kept;
    } finally {
      await part?.close();
    }
    if (pixels !== undefined && !isCached) {
      const paths = await open(`${pixels}.paths`, "w");
      await paths.writeFile(JSON.stringify(kept.map(({ path }) => path)));
      await paths.close();
      await rename(`${pixels}.part`, pixels);
    }
  }
  const descriptor = pixels === undefined ? undefined : openSync(pixels, "r");
  const buffer = new Uint8Array(size);
  return {
    kind: "images",
    rowCount: kept.length,
    shape,
    ...labelled(kept.map(classOf)),
    read(row, target, offset) {
      let image = inMemory[row];
      if (descriptor !== undefined) {
        readSync(descriptor, buffer, 0, size, row * size);
        image = buffer;
      }
      if (image === undefined) throw new RangeError(`there is no image ${row} of ${kept.length}`);
      target.set(image, offset);
    },
    [Symbol.dispose]: () => {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

/** How a picture becomes raw pixels of a shape: the largest middle part of the right proportions, resized. Serving must do the same. */
export function pictureSpec([height, width, channels]: readonly [number, number, number]): ImageSpec {
  return { width, height, fit: "crop", fill: 0, resample: "bilinear", colors: channels === 1 ? "gray" : "rgb", layout: "nhwc", datatype: "UINT8", scale: 1, mean: [0], std: [1], background: 255 };
}

function openPictures(path: string, rowsMax: number): Promise<ZipArchive> {
  return openZip(path, { entriesMax: rowsMax, entryBytesMax: PICTURE_BYTES_MAX, totalBytesMax: PICTURES_BYTES_MAX });
}

async function eachPicture(archive: ZipArchive, skipBadRows: boolean, signal: AbortSignal, take: (bytes: Buffer) => Promise<void>): Promise<{ kept: readonly ZipFile[]; skippedRows: readonly SkippedRow[] }> {
  const bad = new BadRows(skipBadRows);
  const kept: ZipFile[] = [];
  for (const file of archive.files) {
    signal.throwIfAborted();
    if (LITTER.test(file.path)) continue;
    if (!PICTURE.test(file.path)) {
      bad.add(file.path, "is no picture by its name: pack JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP files only");
      continue;
    }
    if (!file.path.includes("/")) {
      bad.add(file.path, "lies in no folder: the folder of a picture is its class");
      continue;
    }
    try {
      await take(await file.read());
      kept.push(file);
    } catch (error) {
      const failure = StatusError.from(error);
      if (failure.reason !== "IMAGE_INVALID" && failure.reason !== "DATASET_MALFORMED") throw error;
      bad.add(file.path, failure.message.replace(/; nothing was kept$/, ""));
    }
  }
  const skippedRows = bad.finish();
  if (kept.length === 0) throw malformed("data", "there are no pictures in folders: pack them as class/picture.jpg");
  return { kept, skippedRows };
}

async function knownPictures(archive: ZipArchive, listing: string): Promise<readonly ZipFile[]> {
  await using file = await open(listing);
  const paths = new Set(JSON.parse(await file.readFile("utf8")) as string[]);
  return archive.files.filter(({ path }) => paths.has(path));
}

/** The name of the folder that a picture lies in. */
function classOf({ path }: ZipFile): string {
  return path.split("/").at(-2) ?? "";
}

function statedShape(shape: readonly number[]): readonly [number, number, number] | undefined {
  if (shape.length === 0) return undefined;
  const [height = 0, width = 0, channels = 3] = shape;
  const isSide = (length: number): boolean => Number.isInteger(length) && length >= 1 && length <= SIDE_STATED_MAX;
  if (shape.length < 2 || shape.length > 3 || !isSide(height) || !isSide(width) || (channels !== 1 && channels !== 3)) {
    throw new StatusError("FIELD_INVALID", `dataset.image_shape is [${shape.join(", ")}], it must be [height, width] or [height, width, 1 or 3] with sides up to ${SIDE_STATED_MAX}`, { metadata: { field: "dataset.image_shape" } });
  }
  return [height, width, channels];
}

