import { StatusError } from "@servable/errors";
import type { DatasetInspector, Inspection } from "../dataset-inspector.ts";
import { readChatExamples } from "./chat-examples.ts";
import { inspectImageZip } from "./image-zip.ts";
import { readImages, type ImageSet } from "./images.ts";
import { inspectTable } from "./inspect-table.ts";
import { labelCounts } from "./label-counts.ts";
import { readNpzImages } from "./npz.ts";
import { isTableFormat, pathOf, tableSource } from "./table-source.ts";
import { readTextLines } from "./text-lines.ts";

const NOTHING = { columns: [], imageShape: [], labelClasses: [], labelClassCounts: [], skippedRows: [], warnings: [] } as const;

/** Reads a data set of any format once and describes it. */
export const inspectDataset: DatasetInspector = async (request, signal) => {
  const { format, files, limits, skipBadRows } = request;
  if (isTableFormat(format)) return inspectTable(tableSource(format, request), request);
  if (request.columns.length > 0) throw new StatusError("FIELD_INVALID", "dataset.columns: only tables have columns", { metadata: { field: "dataset.columns" } });
  switch (format) {
    case "idx":
    case "npy":
      return ofImages(readImages(format, files, limits.rowsMax));
    case "npz":
      return ofImages(await readNpzImages(pathOf(files, "data"), limits.rowsMax));
    case "image_zip":
      return inspectImageZip(request, signal);
    case "text":
      return { ...NOTHING, rowCount: (await readTextLines(pathOf(files, "data"), limits.rowsMax)).rowCount };
    case "chat": {
      const { rowCount, skippedRows } = await readChatExamples(pathOf(files, "data"), { rowsMax: limits.rowsMax, skipBadRows });
      return { ...NOTHING, rowCount, skippedRows };
    }
    default: {
      const never: never = format;
      throw new TypeError(`unknown format ${String(never)}`);
    }
  }
};

function ofImages({ count, shape, classes, labels }: ImageSet): Inspection {
  return { ...NOTHING, rowCount: count, imageShape: shape, ...labelCounts(classes, labels) };
}
