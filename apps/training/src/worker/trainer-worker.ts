// The training process: one attempt of one job. A step blocks the thread and may need any amount of memory, which is why it
// is a process of its own. It talks over parent-link.ts (worker-protocol.ts) and ends when its parent does.

import { writeFileSync } from "node:fs";
import { StatusError } from "@servable/errors";
import { contextOf, startTelemetry, withSpan } from "@servable/telemetry";
import type { AttemptInput } from "../domain/job-executor.ts";
import { openParentLink } from "./parent-link.ts";
import { readTask } from "./read-task.ts";
import { runAttempt } from "./run-attempt.ts";
import { EXIT_REQUEUE, type WorkerMessage } from "./worker-protocol.ts";

// Where memory is short, the kernel ends this process before the service and its neighbours.
try {
  writeFileSync("/proc/self/oom_score_adj", "600");
} catch {
  // Other systems have no such file.
}
const link = openParentLink();
await using _telemetry = await startTelemetry({ service: "trainer", env: process.env });
const last = await attempt(await link.job);
await link.say(last);
if (last.type === "stopped") process.exitCode = EXIT_REQUEUE;
link.close();

async function attempt(job: AttemptInput): Promise<WorkerMessage> {
  try {
    return await withSpan(
      "train",
      { "servable.training.epochs": job.spec.epochCount },
      () => runAttempt(job, { stop: link.stop, now: () => performance.now(), onNews: (news) => void link.say({ type: "news", news }) }, readTask),
      contextOf(process.env["TRACEPARENT"]),
    );
  } catch (error) {
    const failure = StatusError.from(error);
    if (failure.reason === "INTERNAL") process.stderr.write(`trainer: ${error instanceof Error ? error.stack : String(error)}\n`);
    return { type: "failed", reason: failure.reason, message: failure.message };
  }
}
