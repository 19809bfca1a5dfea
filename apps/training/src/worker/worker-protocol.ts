import type { Reason } from "@servable/errors";
import type { Inspection } from "../domain/dataset-inspector.ts";
import type { AttemptInput, AttemptResult } from "../domain/job-executor.ts";
import type { ProgressRecord } from "../domain/records.ts";

/** What the service tells a training process. */
export type ParentMessage = { readonly type: "start"; readonly job: AttemptInput } | { readonly type: "cancel" };

/** What a training process says. */
export type WorkerMessage = { readonly type: "progress"; readonly progress: ProgressRecord } | ({ readonly type: "done" } & AttemptResult) | { readonly type: "failed"; readonly reason: string; readonly message: string };

/** What an inspecting process answers to its InspectionRequest. */
export type InspectorAnswer =
  | { readonly ok: true; readonly inspection: Inspection }
  | { readonly ok: false; readonly reason: Reason; readonly message: string; readonly metadata: Readonly<Record<string, string>> };
