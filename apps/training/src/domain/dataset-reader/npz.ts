import { imageSetOf, type ImageSet } from "./images.ts";
import { malformed } from "./malformed.ts";
import { readNpy, type NumberArray } from "./npy.ts";
import { openZip } from "./zip-files.ts";

/** Names under which people store the two arrays. */
const IMAGE_NAMES = ["images", "x", "X", "data", "x_train"];
const LABEL_NAMES = ["labels", "label", "y", "Y", "target", "y_train"];
const ENTRIES_MAX = 100;
/** Unpacked bytes of an array, and of all. */
const ARRAY_BYTES_MAX = 2 * 1024 ** 3;

/**
 * Reads images and labels out of a NumPy archive.
 *
 * @throws StatusError `DATASET_MALFORMED` naming the array, `DATASET_TOO_LARGE`
 */
export async function readNpzImages(path: string, rowsMax: number): Promise<ImageSet> {
  using archive = await openZip(path, { entriesMax: ENTRIES_MAX, entryBytesMax: ARRAY_BYTES_MAX, totalBytesMax: ARRAY_BYTES_MAX });
  const read = async (what: string, names: readonly string[]): Promise<NumberArray> => {
    const file = names.flatMap((name) => archive.files.filter((each) => each.path === `${name}.npy`))[0];
    if (file === undefined) throw malformed("data", `there is no array of ${what}: it must be called ${names.map((name) => `"${name}"`).join(" or ")}; the file has ${archive.files.map((each) => each.path).join(", ").slice(0, 200)}`);
    return readNpy(what, await file.read());
  };
  return imageSetOf(await read("images", IMAGE_NAMES), await read("labels", LABEL_NAMES), rowsMax);
}
