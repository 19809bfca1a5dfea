import type { AttemptInput, AttemptResult } from "../domain/job-executor.ts";
import type { ProgressRecord } from "../domain/records.ts";

/** What the service tells a training process. */
export type ParentMessage = { readonly type: "start"; readonly job: AttemptInput } | { readonly type: "cancel" };

/** What a training process says. */
export type WorkerMessage = { readonly type: "progress"; readonly progress: ProgressRecord } | ({ readonly type: "done" } & AttemptResult) | { readonly type: "failed"; readonly reason: string; readonly message: string };
