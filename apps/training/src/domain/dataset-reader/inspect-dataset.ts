import { StatusError } from "@servable/errors";
import type { DatasetInspector } from "../dataset-inspector.ts";

/** Reads a data set of any format once and describes it. */
export const inspectDataset: DatasetInspector = async ({ format }) => {
  throw new StatusError("UNIMPLEMENTED", `data sets of format ${format} are not read yet`);
};
