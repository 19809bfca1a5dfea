import { StatusError } from "@servable/errors";
import { givenSplit, groupSplit, randomSplit, stratifiedSplit, timeSplit } from "@servable/preprocessing";
import type { DatasetSplitter } from "../dataset-splitter.ts";
import type { DatasetInput } from "./dataset-table.ts";
import { openDataset } from "./open-dataset.ts";

/** Divides the rows of a stored data set. */
export const splitDataset: DatasetSplitter = async (dataset, { method, column, seed, ...shares }, signal) => {
  const { rowCount } = dataset;
  if (method === "random") return randomSplit(rowCount, shares, seed);
  if (method === "time" && column === "") return timeSplit(Float64Array.from({ length: rowCount }, (_, row) => row), shares);
  if (column === "") {
    if (method !== "stratified" || !isImages(dataset)) throw invalid(`split.column is required: a ${method} split looks at one`);
    using images = await openDataset(dataset, { signal });
    if (images.kind !== "images") throw new TypeError("images were expected");
    return stratifiedSplit(Int32Array.from(images.labels), shares, seed);
  }
  if (isImages(dataset)) throw invalid("split.column: images have no columns; leave it out to divide within the classes");
  // A group is a text whatever it looks like, and a time needs more digits than f32 has.
  using table = await openDataset(dataset, { only: [column], readAs: { [column]: method === "time" ? "datetime" : "categorical" }, signal });
  if (table.kind !== "table") throw invalid("split.column: only tables have columns");
  const data = table.column(column);
  if (data.kind === "datetime") return timeSplit(data.values, shares, table.placeOf);
  if (data.kind !== "categorical") throw new TypeError("the column was to be read as categories");
  if (method === "given") return givenSplit(data.codes, data.categories);
  return method === "group" ? groupSplit(data.codes, shares, seed) : stratifiedSplit(data.codes, shares, seed);
};

function isImages({ format }: DatasetInput): boolean {
  return format === "idx" || format === "npy" || format === "npz" || format === "image_zip";
}

function invalid(message: string): StatusError {
  return new StatusError("FIELD_INVALID", message, { metadata: { field: "split.column" } });
}
