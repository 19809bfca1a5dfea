// The story of a job as OpenAI's clients read it: what fine-tuning did itself, and the log of its training job in between.

import type { JobEventRecord } from "../records.ts";
import type { TuningRecord } from "./records.ts";

/** One thing that happened. */
export interface TuningEvent {
  /** "ftevent-…": unique, and the same each time it is asked for. */
  readonly id: string;
  readonly timeMs: number;
  readonly level: "info" | "warn" | "error";
  readonly message: string;
  /** Numbers of a step; empty = none. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** All events, oldest first. `log` is the training job's. */
export function tuningEvents(job: TuningRecord, log: readonly JobEventRecord[]): TuningEvent[] {
  const event = (key: string, timeMs: number, message: string, level: TuningEvent["level"] = "info", metrics: TuningEvent["metrics"] = {}): TuningEvent => ({ id: `ftevent-${job.id.slice("ftjob-".length)}-${key}`, timeMs, level, message, metrics });
  const events = [event("created", job.createTimeMs, `Created fine-tuning job: ${job.id}`), event("validating", job.createTimeMs, `Validating training file: ${job.trainingFile}${job.validationFile === "" ? "" : ` and validation file: ${job.validationFile}`}`)];
  if (job.validateTimeMs !== undefined) events.push(event("validated", job.validateTimeMs, "Files validated, moving job to queued state"));
  for (const { offset, timeMs, event: entry } of log) {
    if (entry.kind === "progress") {
      const { step, stepCount, loss, validationLoss, validationAccuracy } = entry.progress;
      const metrics = { step, total_steps: stepCount, train_loss: loss, ...(validationLoss === undefined ? {} : { valid_loss: validationLoss }), ...(validationAccuracy === undefined ? {} : { valid_mean_token_accuracy: validationAccuracy }) };
      events.push(event(String(offset), timeMs, `Step ${step}/${stepCount}: training loss=${loss.toFixed(4)}${validationLoss === undefined ? "" : `, validation loss=${validationLoss.toFixed(4)}`}`, "info", metrics));
    } else if (entry.kind === "state") {
      const { state } = entry.job;
      if (state === "RUNNING") events.push(event(String(offset), timeMs, entry.job.attemptCount > 1 ? "Fine-tuning job goes on" : "Fine-tuning job started"));
      if (state === "PAUSED") events.push(event(String(offset), timeMs, "Fine-tuning job paused"));
    }
  }
  if (job.endTimeMs !== undefined) {
    if (job.phase === "succeeded") events.push(event("model", job.endTimeMs, `New fine-tuned model created: ${job.fineTunedModel}`), event("done", job.endTimeMs, "The job has successfully completed"));
    if (job.phase === "failed") events.push(event("failed", job.endTimeMs, `The job failed: ${job.failure?.message ?? "no reason was stored"}`, "error"));
    if (job.phase === "cancelled") events.push(event("cancelled", job.endTimeMs, "The job was cancelled"));
  }
  return events;
}

/** A job's metrics as the result file has them, one line a report of the training. */
export function metricsCsv(log: readonly JobEventRecord[]): string {
  const steps = new Map<number, string>();
  for (const { event } of log) {
    if (event.kind !== "progress") continue;
    const { step, loss, validationLoss, validationAccuracy } = event.progress;
    steps.set(step, [step, loss, validationLoss, validationAccuracy].map((value) => value ?? "").join(","));
  }
  return `${["step,train_loss,valid_loss,valid_mean_token_accuracy", ...[...steps].sort(([a], [b]) => a - b).map(([, line]) => line)].join("\n")}\n`;
}
