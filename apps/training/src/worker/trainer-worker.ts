// The training process: one attempt of one job. A step blocks the thread and may need any amount of memory, which is why it
// is a process of its own. It talks over IPC (worker-protocol.ts) and ends when its parent does.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import { contextOf, startTelemetry, withSpan } from "@servable/telemetry";
import type { AttemptInput } from "../domain/job-executor.ts";
import { train } from "./trainer.ts";
import type { ParentMessage, WorkerMessage } from "./worker-protocol.ts";

const cancelled = new AbortController();
const started = Promise.withResolvers<AttemptInput>();
process.on("message", (message: ParentMessage) => {
  if (message.type === "start") started.resolve(message.job);
  else cancelled.abort(new DOMException("the job was cancelled", "AbortError"));
});
process.on("disconnect", () => process.exit(1));

await using _telemetry = await startTelemetry({ service: "trainer", env: process.env });
await say(await attempt(await started.promise));
process.removeAllListeners("disconnect");
process.disconnect?.();

async function attempt(job: AttemptInput): Promise<WorkerMessage> {
  try {
    const { model, evaluation } = await withSpan(
      "train",
      { "servable.training.epochs": job.spec.epochCount },
      () => train(job, { signal: cancelled.signal, now: () => performance.now(), onProgress: (progress) => void say({ type: "progress", progress }) }),
      contextOf(process.env["TRACEPARENT"]),
    );
    const modelPath = join(job.outputDir, "model.onnx");
    writeFileSync(modelPath, model);
    return { type: "done", modelPath, modelSha256: createHash("sha256").update(model).digest("hex"), evaluation };
  } catch (error) {
    const failure = StatusError.from(error);
    if (failure.reason === "INTERNAL") process.stderr.write(`trainer: ${error instanceof Error ? error.stack : String(error)}\n`);
    return { type: "failed", reason: failure.reason, message: failure.message };
  }
}

function say(message: WorkerMessage): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(message, () => resolve());
  });
}
