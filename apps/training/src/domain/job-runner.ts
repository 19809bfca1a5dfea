import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { BaseModels } from "./base-model.ts";
import type { CheckpointVault } from "./checkpoint-vault.ts";
import type { DatasetCatalog } from "./dataset-catalog.ts";
import type { DatasetInput } from "./dataset-reader/dataset-table.ts";
import type { DatasetSplits } from "./dataset-splits.ts";
import type { AttemptInput, AttemptOutcome, AttemptResult, JobExecutor, ResultFile, StopReason } from "./job-executor.ts";
import { limitsOf, type ServiceLimits } from "./job-limits.ts";
import type { JobLog } from "./job-log.ts";
import type { ModelPublisher } from "./model-publisher.ts";
import { NewsWriter } from "./news-writer.ts";
import type { JobRecord } from "./records.ts";
import { checkReproduction } from "./reproduction.ts";
import { afterLostAttempt, cancel, fail, pause, requeue, succeed } from "./training-job.ts";
import type { AttemptFence } from "./training-store.ts";

const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 5_000;

/** Runs work inside a span; injected, since the domain knows no telemetry. */
export type Traced = <T>(name: string, attributes: Readonly<Record<string, string | number>>, work: () => Promise<T>, traceparent?: string) => Promise<T>;

/** What happens to jobs, for metrics and log. */
export interface JobObserver {
  jobEnded(job: JobRecord): void;
  attemptLost(job: JobRecord, how: string): void;
  unexpected(event: string, job: string, error: unknown): void;
}

/** What a runner stands on. */
export interface JobRunnerDeps {
  readonly log: JobLog;
  readonly datasets: DatasetCatalog;
  readonly splits: DatasetSplits;
  readonly vault: CheckpointVault;
  readonly baseModels: BaseModels;
  readonly execute: JobExecutor;
  readonly publish: ModelPublisher;
  /** Writes what people read of a result into a folder. */
  readonly documents: (job: JobRecord, result: AttemptResult, folder: string) => Promise<readonly ResultFile[]>;
  /** Reads a job, for repetitions. */
  readonly jobOf: (name: string) => Promise<JobRecord | undefined>;
  /** Counts what an attempt used against its project's share. */
  readonly charge: (project: string, runMs: number) => Promise<void>;
  readonly traced: Traced;
  readonly observer: JobObserver;
  /** Folder for the attempts' files; each attempt's own folder is removed after it. */
  readonly workDir: string;
  /** Lost processes after which a job fails. */
  readonly attemptsMax: number;
  readonly limits: ServiceLimits;
  /** Time between two checkpoints of jobs that say none. */
  readonly checkpointIntervalMs: number;
  /** How long the registry may be unavailable before a trained job fails. */
  readonly publishRetryMs: number;
  readonly now: () => number;
}

type Transition = (job: JobRecord) => JobRecord;

/** One attempt of one job, from the process to the registered version. */
export class JobRunner {
  readonly #deps: JobRunnerDeps;

  constructor(deps: JobRunnerDeps) {
    this.#deps = deps;
  }

  /** Runs a job that is RUNNING and leaves it in the state that follows. The signal's reason is a {@link StopReason}. */
  async run(job: JobRecord, owner: string, stop: AbortController): Promise<void> {
    const attributes = { "servable.training_job": job.name, "servable.dataset": job.dataset, "servable.model": job.model };
    await this.#deps.traced("training job", attributes, () => this.#attempt(job, { job: job.name, attempt: job.attemptCount, owner }, stop), job.traceparent);
  }

  async #attempt(job: JobRecord, attempt: AttemptFence, stop: AbortController): Promise<void> {
    const { workDir, observer, log, vault, charge, now } = this.#deps;
    const folder = join(workDir, `${job.sequence}-${job.attemptCount}`);
    const news = new NewsWriter({ log, vault, attempt, job, onStale: () => stop.abort("lost" satisfies StopReason), unexpected: (...what) => observer.unexpected(...what) });
    let transition: Transition;
    try {
      const input = await this.#prepare(job, folder, stop.signal);
      const outcome = await this.#execute(job, input, news, stop.signal);
      await news.written();
      // A stale attempt registers nothing.
      if (outcome.kind === "done") await log.changeAttempt(attempt, (current) => current);
      transition = await this.#follow(job, outcome, folder, stop.signal);
    } catch (error) {
      await news.written();
      const failure = StatusError.from(error);
      if (failure.reason === "INTERNAL") observer.unexpected("job_failed_unexpectedly", job.name, failure.cause ?? error);
      transition = stop.signal.aborted ? this.#stopped(stop.signal) : (current) => fail(current, failure, now());
    } finally {
      await rm(folder, { recursive: true, force: true }).catch((error: unknown) => observer.unexpected("output_not_removed", job.name, error));
    }
    await this.#settle(job, attempt, (current) => ({ ...transition(current), usage: news.usage }), stop.signal);
    await charge(job.project, news.attemptUsage.runMs).catch((error: unknown) => observer.unexpected("share_not_charged", job.name, error));
  }

  async #prepare(job: JobRecord, folder: string, signal: AbortSignal): Promise<AttemptInput> {
    const { vault, baseModels, checkpointIntervalMs } = this.#deps;
    const [outputDir, checkpointDir, modelDir] = ["output", "checkpoints", "base-model"].map((name) => join(folder, name)) as [string, string, string];
    await rm(folder, { recursive: true, force: true });
    for (const path of [outputDir, checkpointDir, modelDir]) await mkdir(path, { recursive: true });
    const input = await attemptData(this.#deps, job);
    const baseModel = job.spec.baseModel === "" ? undefined : await baseModels.fetch(job.spec.baseModel, job.creator, modelDir, signal);
    return {
      ...input,
      ...(baseModel === undefined ? {} : { baseModel: { folder: modelDir, digest: baseModel.digest } }),
      spec: job.spec,
      outputDir,
      datasetDigest: job.datasetDigest,
      checkpointDir,
      checkpoints: await vault.available(job.name),
      checkpointIntervalMs,
    };
  }

  async #execute(job: JobRecord, input: AttemptInput, news: NewsWriter, signal: AbortSignal): Promise<AttemptOutcome> {
    const limits = limitsOf(job, this.#deps.limits, this.#deps.now());
    if (limits.runMs <= 0) return { kind: "failed", reason: "TRAINING_TIME_EXCEEDED", message: limits.timeMessage };
    return this.#deps.traced("training attempt", { "servable.training_job": job.name, "servable.attempt": job.attemptCount }, () =>
      this.#deps.execute(input, { signal, limits, onNews: (each) => news.write(each) }),
    );
  }

  async #follow(job: JobRecord, outcome: AttemptOutcome, folder: string, signal: AbortSignal): Promise<Transition> {
    const { now, attemptsMax, observer } = this.#deps;
    switch (outcome.kind) {
      case "done": {
        const { evaluation, runRecord } = outcome.result;
        if (job.reproducedJob !== "") checkReproduction(await this.#deps.jobOf(job.reproducedJob), runRecord);
        const modelVersion = job.registers ? await this.#publish(job, await this.#documented(job, outcome.result, folder), signal) : "";
        return (current) => succeed(current, { modelVersion, evaluation, runRecord }, now());
      }
      case "failed":
        return (current) => fail(current, outcome, now());
      case "died":
        observer.attemptLost(job, outcome.how);
        return (current) => afterLostAttempt(current, { attemptsMax, how: outcome.how }, now());
      case "stopped":
        return this.#stopped(signal);
      case "probed":
        throw new StatusError("INTERNAL", "the training process measured instead of training");
      default: {
        const never: never = outcome;
        return never;
      }
    }
  }

  /** The caller's wish wins over the reason for which the process was stopped: both may have come at once. */
  #stopped(signal: AbortSignal): Transition {
    const why = signal.reason as StopReason | undefined;
    return (job) => {
      if (why === "cancelled" || job.cancelRequested) return cancel(job, this.#deps.now());
      return why === "paused" || job.pauseRequested ? pause(job) : requeue(job, { lost: false });
    };
  }

  /** The result with its report and model card; a page that cannot be drawn must not cost a trained model. */
  async #documented(job: JobRecord, result: AttemptResult, folder: string): Promise<AttemptResult> {
    try {
      return { ...result, files: [...result.files, ...(await this.#deps.documents(job, result, folder))] };
    } catch (error) {
      this.#deps.observer.unexpected("report_not_written", job.name, error);
      return result;
    }
  }

  /** Hours of training are worth some patience with a registry that restarts. */
  async #publish(job: JobRecord, result: AttemptResult, signal: AbortSignal): Promise<string> {
    const until = this.#deps.now() + this.#deps.publishRetryMs;
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
      try {
        return await this.#deps.publish(job, result, signal);
      } catch (error) {
        const failure = StatusError.from(error);
        if (signal.aborted || !failure.retryable || this.#deps.now() + waitMs > until) throw failure;
        await sleep(waitMs, undefined, { signal });
      }
    }
  }

  /**
   * Stores where the job went. A database that is away is waited for, or the job would stay RUNNING with nobody running
   * it; at shutdown that is fine: the next start finds it.
   */
  async #settle(job: JobRecord, attempt: AttemptFence, transition: Transition, signal: AbortSignal): Promise<void> {
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
      try {
        const after = await this.#deps.log.changeAttempt(attempt, transition);
        if (after.endTimeMs !== undefined) this.#deps.observer.jobEnded(after);
        return;
      } catch (error) {
        const failure = StatusError.from(error);
        this.#deps.observer.unexpected(failure.reason === "ATTEMPT_STALE" ? "stale_attempt_dropped" : "job_state_not_stored", job.name, error);
        if (!failure.retryable || signal.reason === "shutdown" || signal.reason === "lost") return;
        await sleep(waitMs);
      }
    }
  }
}

/** What an attempt is told of a job's data: the files of the version that the job pinned, how they are read, and the rows of its split. */
export async function attemptData({ datasets, splits }: { datasets: DatasetCatalog; splits: DatasetSplits }, job: Pick<JobRecord, "dataset" | "datasetDigest" | "spec">): Promise<DatasetInput & Pick<AttemptInput, "split">> {
  const dataset = await datasets.pinned(job.dataset, job.datasetDigest);
  return {
    ...datasets.inputOf(dataset),
    ...(job.spec.split === "" ? {} : { split: splits.fileOf(dataset, job.spec.split) }),
  };
}
