import type { Reason } from "@servable/errors";
import type { InspectionRequest } from "../domain/dataset-inspector.ts";
import type { DatasetInput } from "../domain/dataset-reader/dataset-table.ts";
import type { SplitDraft } from "../domain/dataset-splitter.ts";

/** What a process that reads data sets is asked; it answers one question and ends. */
export type ReaderQuestion =
  | { readonly kind: "inspect"; readonly request: InspectionRequest }
  | { readonly kind: "split"; readonly dataset: DatasetInput & { readonly rowCount: number }; readonly split: SplitDraft };

/** What it answers. */
export type ReaderAnswer<Result = unknown> =
  | { readonly ok: true; readonly result: Result }
  | { readonly ok: false; readonly reason: Reason; readonly message: string; readonly metadata: Readonly<Record<string, string>> };
