import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttemptInput, AttemptOutcome, JobExecutor } from "../../src/domain/job-executor.ts";
import type { TrainingSpecRecord } from "../../src/domain/training-spec-record.ts";
import { EVALUATION } from "./controlled-executor.ts";

/** How an attempt goes. */
export type Behaviour = "learn" | "hang" | "crash" | "nan" | "refuse";

/** What a surface is made of. */
export interface SurfaceOptions {
  /** The loss that a whole training ends with. */
  readonly loss: (spec: TrainingSpecRecord) => number;
  /** @default learn */
  readonly behaviour?: (spec: TrainingSpecRecord) => Behaviour;
  /** Looks at the validation rows on the way; the loss comes down to the last. @default 0 */
  readonly looks?: number;
}

/** An executor that trains nothing: the loss follows from the specification, reports come at once. Remembers what it was asked. */
export function surfaceExecutor({ loss, behaviour = () => "learn", looks = 0 }: SurfaceOptions): { readonly execute: JobExecutor; readonly asked: AttemptInput[]; readonly stopped: () => number } {
  const asked: AttemptInput[] = [];
  let stopped = 0;
  const execute: JobExecutor = async (input, { signal, onNews }): Promise<AttemptOutcome> => {
    asked.push(input);
    const aborted = new Promise<AttemptOutcome>((resolve) => {
      const stop = (): void => {
        stopped++;
        resolve({ kind: "stopped" });
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    });
    const how = behaviour(input.spec);
    if (how === "hang") return aborted;
    if (how === "crash") return { kind: "died", how: "signal SIGKILL" };
    if (how === "refuse") return { kind: "failed", reason: "TRAINING_DIVERGED", message: "the loss became infinite" };
    const end = loss(input.spec);
    for (let look = 1; look <= looks; look++) {
      const value = end + 1 - look / looks;
      onNews({ kind: "progress", progress: { epoch: look, epochCount: looks, step: look, stepCount: looks, loss: value, metrics: { validation_loss: value }, evaluationCount: look, stepsPerSecond: 1 } });
      // Each report is stored before the next, as the reports of a training are seconds apart.
      await Promise.race([aborted, new Promise((resolve) => setTimeout(resolve, 20))]);
      if (signal.aborted) return aborted;
    }
    const file = join(input.outputDir, "model.onnx");
    const bytes = JSON.stringify(input.spec);
    writeFileSync(file, bytes);
    const value = how === "nan" ? NaN : end;
    return {
      kind: "done",
      result: { files: [{ path: "model.onnx", file, sha256: createHash("sha256").update(bytes).digest("hex") }], evaluation: { ...EVALUATION, loss: value, metrics: { loss: { value }, accuracy: { value: 1 / (1 + end) } } }, servingConfigJson: "{}" },
    };
  };
  return { execute, asked, stopped: () => stopped };
}
