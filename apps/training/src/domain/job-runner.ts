import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { DatasetCatalog } from "./dataset-catalog.ts";
import type { DatasetSplits } from "./dataset-splits.ts";
import type { AttemptOutcome, AttemptResult, JobExecutor } from "./job-executor.ts";
import type { JobLog } from "./job-log.ts";
import type { ModelPublisher } from "./model-publisher.ts";
import type { JobRecord, ProgressRecord } from "./records.ts";
import { afterLostAttempt, cancel, fail, requeue, succeed } from "./training-job.ts";

/** Progress that waits to be stored; a database slower than the trainer makes newer progress replace older. */
const PROGRESS_WAITING_MAX = 64;
const RETRY_FIRST_MS = 250;
const RETRY_LAST_MS = 5_000;

/** Why a running job is told to stop. */
export type StopReason = "cancelled" | "shutdown";

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
  readonly execute: JobExecutor;
  readonly publish: ModelPublisher;
  readonly traced: Traced;
  readonly observer: JobObserver;
  /** Folder for the attempts' results; each attempt's own folder is removed after it. */
  readonly workDir: string;
  /** Lost processes after which a job fails. */
  readonly attemptsMax: number;
  /** How long the registry may be unavailable before a trained job fails. */
  readonly publishRetryMs: number;
  readonly now: () => number;
}

/** One attempt of one job, from the process to the registered version. */
export class JobRunner {
  readonly #deps: JobRunnerDeps;

  constructor(deps: JobRunnerDeps) {
    this.#deps = deps;
  }

  /** Runs a job that is RUNNING and leaves it in the state that follows. The signal's reason is a {@link StopReason}. */
  async run(job: JobRecord, signal: AbortSignal): Promise<void> {
    const attributes = { "servable.training_job": job.name, "servable.dataset": job.dataset, "servable.model": job.model };
    await this.#deps.traced("training job", attributes, () => this.#attempt(job, signal), job.traceparent);
  }

  async #attempt(job: JobRecord, signal: AbortSignal): Promise<void> {
    const outputDir = join(this.#deps.workDir, `${job.sequence}-${job.attemptCount}`);
    let transition: (job: JobRecord) => JobRecord;
    try {
      await rm(outputDir, { recursive: true, force: true });
      await mkdir(outputDir, { recursive: true });
      const outcome = await this.#train(job, outputDir, signal);
      transition = await this.#follow(job, outcome, signal);
    } catch (error) {
      const failure = StatusError.from(error);
      if (failure.reason === "INTERNAL") this.#deps.observer.unexpected("job_failed_unexpectedly", job.name, failure.cause ?? error);
      transition = signal.aborted ? this.#stopped(signal) : (current) => fail(current, failure, this.#deps.now());
    } finally {
      await rm(outputDir, { recursive: true, force: true }).catch((error: unknown) => this.#deps.observer.unexpected("output_not_removed", job.name, error));
    }
    await this.#settle(job, transition, signal);
  }

  async #train(job: JobRecord, outputDir: string, signal: AbortSignal): Promise<AttemptOutcome> {
    const dataset = await this.#deps.datasets.pinned(job.dataset, job.datasetDigest);
    const splitRows = job.spec.split === "" ? undefined : await this.#deps.splits.rows(dataset, job.spec.split);
    const progress = this.#progressWriter(job.name);
    const outcome = await this.#deps.traced("training attempt", { "servable.training_job": job.name, "servable.attempt": job.attemptCount }, () =>
      this.#deps.execute(
        {
          files: this.#deps.datasets.filesOf(dataset),
          format: dataset.format,
          columns: dataset.columns.map(({ name, kind }) => ({ name, kind })),
          missingValues: dataset.missingValues,
          header: dataset.header,
          skipBadRows: dataset.skipBadRows,
          imageShape: dataset.imageShape,
          splitRows,
          spec: job.spec,
          outputDir,
        },
        { signal, onProgress: progress.write },
      ),
    );
    await progress.written();
    return outcome;
  }

  async #follow(job: JobRecord, outcome: AttemptOutcome, signal: AbortSignal): Promise<(job: JobRecord) => JobRecord> {
    const { now, attemptsMax, observer } = this.#deps;
    switch (outcome.kind) {
      case "done": {
        const modelVersion = await this.#publish(job, outcome.result, signal);
        return (current) => succeed(current, { modelVersion, evaluation: outcome.result.evaluation }, now());
      }
      case "failed":
        return (current) => fail(current, outcome, now());
      case "died":
        observer.attemptLost(job, outcome.how);
        return (current) => afterLostAttempt(current, { attemptsMax, how: outcome.how }, now());
      case "stopped":
        return this.#stopped(signal);
      default: {
        const never: never = outcome;
        return never;
      }
    }
  }

  #stopped(signal: AbortSignal): (job: JobRecord) => JobRecord {
    const why = signal.reason as StopReason;
    return (job) => (why === "cancelled" || job.cancelRequested ? cancel(job, this.#deps.now()) : requeue(job, { lost: false }));
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
  async #settle(job: JobRecord, transition: (job: JobRecord) => JobRecord, signal: AbortSignal): Promise<void> {
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(2 * waitMs, RETRY_LAST_MS)) {
      try {
        const after = await this.#deps.log.change(job.name, transition);
        if (after.endTimeMs !== undefined) this.#deps.observer.jobEnded(after);
        return;
      } catch (error) {
        this.#deps.observer.unexpected("job_state_not_stored", job.name, error);
        if (!StatusError.from(error).retryable || signal.reason === "shutdown") return;
        await sleep(waitMs);
      }
    }
  }

  #progressWriter(name: string): { write: (progress: ProgressRecord) => void; written: () => Promise<void> } {
    const waiting: ProgressRecord[] = [];
    let writing: Promise<void> | undefined;
    const drain = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        // Progress is news, not state: what cannot be stored is logged and the training goes on.
        await this.#deps.log.progress(name, next).catch((error: unknown) => this.#deps.observer.unexpected("progress_not_stored", name, error));
      }
      writing = undefined;
    };
    return {
      write: (progress) => {
        if (waiting.length >= PROGRESS_WAITING_MAX) waiting.pop();
        waiting.push(progress);
        writing ??= drain();
      },
      written: async () => {
        await writing;
      },
    };
  }
}
