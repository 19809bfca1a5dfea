import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Identity } from "@servable/auth";
import { StatusError, type Reason } from "@servable/errors";
import type { BaseModels } from "./base-model.ts";
import type { DatasetCatalog } from "./dataset-catalog.ts";
import type { DatasetSplits } from "./dataset-splits.ts";
import { checkDraft, newJob, type JobDraft } from "./job-draft.ts";
import type { JobExecutor } from "./job-executor.ts";
import { limitsOf, type ServiceLimits } from "./job-limits.ts";
import { attemptData } from "./job-runner.ts";
import type { CostEstimate } from "./run-record.ts";

/** A probe that takes longer than this is not waited for. */
const PROBE_MS_MAX = 10 * 60_000;

/** Says what a job would need. @throws StatusError what creating it, or its begin, would throw; `QUEUE_FULL` while another is measured */
export type JobEstimator = (draft: JobDraft, creator: Identity, signal: AbortSignal) => Promise<CostEstimate>;

/** What an estimator stands on. */
export interface JobEstimatorDeps {
  readonly datasets: DatasetCatalog;
  readonly splits: DatasetSplits;
  readonly baseModels: BaseModels;
  readonly execute: JobExecutor;
  readonly limits: ServiceLimits;
  readonly workDir: string;
  readonly now: () => number;
}

/** An estimator that runs a few steps of the job in a process of its own: one at a time, since it takes a trainer's memory. */
export function jobEstimator({ datasets, splits, baseModels, execute, limits, workDir, now }: JobEstimatorDeps): JobEstimator {
  let busy = false;
  return async (draft, creator, signal) => {
    const { project, name } = checkDraft(draft);
    const dataset = await datasets.get(draft.dataset);
    const job = { ...newJob(draft, { project, name, dataset, creator, traceparent: undefined, nowMs: now() }), sequence: 0 };
    if (busy) throw new StatusError("QUEUE_FULL", "another job is being measured: try again in some seconds");
    busy = true;
    await mkdir(workDir, { recursive: true });
    const folder = await mkdtemp(join(workDir, "probe-"));
    try {
      const modelDir = join(folder, "base-model");
      await mkdir(modelDir);
      const baseModel = job.spec.baseModel === "" ? undefined : await baseModels.fetch(job.spec.baseModel, creator, modelDir, signal);
      const input = { ...(await attemptData({ datasets, splits }, job)), spec: job.spec, outputDir: folder, mode: "probe" as const, ...(baseModel === undefined ? {} : { baseModel: { folder: modelDir, digest: baseModel.digest } }) };
      const { memoryBytes, runMs } = limitsOf(job, limits, now());
      const stop = AbortSignal.any([signal]);
      const outcome = await execute(input, { signal: stop, limits: { memoryBytes, runMs: Math.min(runMs, PROBE_MS_MAX), timeMessage: `measuring a few steps took longer than ${PROBE_MS_MAX / 60_000} minutes: make the job smaller` }, onNews: () => {} });
      switch (outcome.kind) {
        case "probed":
          return outcome.estimate;
        case "failed":
          throw new StatusError(outcome.reason as Reason, outcome.message);
        case "stopped":
          throw StatusError.from(signal.reason);
        default:
          throw new StatusError("TRAINING_PROCESS_DIED", `the process that measured the job ended (${outcome.kind === "died" ? outcome.how : outcome.kind}): it needs more memory than there is, make the job smaller`);
      }
    } finally {
      busy = false;
      await rm(folder, { recursive: true, force: true });
    }
  };
}
