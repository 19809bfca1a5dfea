// A trainer that trains nothing. What it does is said by `spec.targetColumn`, so that a test needs no other channel:
// "succeed", "hang", "hang-once" (hangs in its first attempt), "crash", "deaf" (hangs and ignores a cancellation).

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ParentMessage } from "../../src/worker/worker-protocol.ts";
import { EVALUATION, progressAt } from "./controlled-executor.ts";

let script = "";
process.on("message", (message: ParentMessage) => {
  if (message.type === "stop") {
    if (script !== "deaf") process.exit(0);
    return;
  }
  const { outputDir, spec } = message.job;
  script = spec.targetColumn;
  if (script === "crash") process.kill(process.pid, "SIGKILL");
  // The pid is told as the step: a test kills the process it is told of.
  process.send?.({ type: "news", news: { kind: "progress", progress: { ...progressAt(1), step: process.pid } } });
  const first = dirname(outputDir).endsWith("-1");
  if (script === "succeed" || (script === "hang-once" && !first)) {
    const file = join(outputDir, "model.onnx");
    writeFileSync(file, "trained");
    process.send?.({ type: "done", files: [{ path: "model.onnx", file, sha256: createHash("sha256").update("trained").digest("hex") }], evaluation: EVALUATION }, () => process.disconnect?.());
  }
});
