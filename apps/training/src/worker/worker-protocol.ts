import type { AttemptInput, AttemptNews, AttemptResult } from "../domain/job-executor.ts";
import type { CostEstimate } from "../domain/run-record.ts";

/** What the service tells a training process. One that is to stop finishes its step, and writes a checkpoint where `save` says so. */
export type ParentMessage = { readonly type: "start"; readonly job: AttemptInput } | { readonly type: "stop"; readonly save: boolean };

/** What a training process says. The last word is one of "done", "failed", "stopped" and "probed". */
export type WorkerMessage =
  | { readonly type: "news"; readonly news: AttemptNews }
  | ({ readonly type: "done" } & AttemptResult)
  | { readonly type: "failed"; readonly reason: string; readonly message: string }
  | { readonly type: "stopped" }
  | { readonly type: "probed"; readonly estimate: CostEstimate };

/** Exit code of a process that stopped with its work saved: it is to be started again, it has not failed. Source: EX_TEMPFAIL of sysexits.h. */
export const EXIT_REQUEUE = 75;
