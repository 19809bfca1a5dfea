import { rm } from "node:fs/promises";
import { chooseNext, fadedUsage, type ProjectShare } from "@servable/scheduling";
import type { StopReason } from "./job-executor.ts";
import { deadlineMessage } from "./job-limits.ts";
import type { JobLog } from "./job-log.ts";
import type { JobObserver, JobRunner } from "./job-runner.ts";
import type { JobRecord } from "./records.ts";
import { afterLostAttempt, fail, start } from "./training-job.ts";
import type { TrainingStore } from "./training-store.ts";

/** How often the queue is looked at although nothing was reported: the database may have been away. */
const LOOK_EVERY_MS = 2_000;
const RECOVERY_BATCH = 1_000;
/** Waiting jobs among which the next is chosen. */
const WAITING_LOOKED_AT_MAX = 1_000;
/** Running jobs of all services. */
const RUNNING_LOOKED_AT_MAX = 10_000;
/** What a project used an hour ago counts half. */
export const USAGE_HALF_LIFE_MS = 3_600_000;

/** Who gets how many places. */
export interface SharePolicy {
  /** Running jobs of one project, over all services. */
  readonly projectRunningMax: number;
  /** By project; 1 where none is said. */
  readonly weights: Readonly<Record<string, number>>;
}

/** What a queue stands on. */
export interface JobQueueDeps {
  readonly store: TrainingStore;
  readonly log: JobLog;
  readonly runner: JobRunner;
  readonly observer: JobObserver;
  readonly workDir: string;
  /** This service among those of the database; the same after a restart. */
  readonly owner: string;
  /** How long a job stays a silent service's. */
  readonly leaseMs: number;
  /** Jobs that run at once in this service. */
  readonly concurrency: number;
  readonly shares: SharePolicy;
  readonly attemptsMax: number;
  /** Done now and then, e.g. the removal of old checkpoints. */
  readonly sweep: () => Promise<void>;
  readonly now: () => number;
}

/**
 * The jobs that wait, chosen by fair share (libs/scheduling, fair-share.ts), and those that run here, up to `concurrency`.
 *
 * I1  The queue is the database's QUEUED jobs; this object only remembers whom it runs.
 * I2  A RUNNING job has a lease. Its holder renews it; one that is over is anybody's, and the attempt that held it is stale:
 *     the store refuses what it writes.
 * I3  A service that starts is the only one of its name: what is leased to that name has no process.
 */
export class JobQueue implements AsyncDisposable {
  readonly #deps: JobQueueDeps;
  readonly #running = new Map<string, { readonly controller: AbortController; readonly ended: Promise<void>; readonly attempt: number }>();
  #filling: Promise<void> = Promise.resolve();
  #timers: NodeJS.Timeout[] = [];
  #stopping = false;

  constructor(deps: JobQueueDeps) {
    this.#deps = deps;
  }

  /** Takes up what an earlier process left, then works until disposed. */
  async start(): Promise<void> {
    const { workDir, owner, leaseMs } = this.#deps;
    await rm(workDir, { recursive: true, force: true });
    await this.#takeUp(owner, "the end of the service");
    this.#timers = [
      setInterval(() => this.wake(), LOOK_EVERY_MS),
      setInterval(() => void this.#renew().catch((error: unknown) => this.#deps.observer.unexpected("leases_not_renewed", "", error)), leaseMs / 3),
    ];
    for (const timer of this.#timers) timer.unref();
    this.wake();
  }

  /** Looks whether a job can be started. */
  wake(): void {
    if (this.#stopping) return;
    this.#filling = this.#filling.then(() => this.#look()).catch((error: unknown) => this.#deps.observer.unexpected("queue_not_read", "", error));
  }

  /** Asks a job of this service to stop; others are told when their service renews its leases. */
  stop(name: string, reason: StopReason): void {
    this.#running.get(name)?.controller.abort(reason);
  }

  /** Stops what runs; it is queued again for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await this.#filling;
    for (const name of this.#running.keys()) this.stop(name, "shutdown");
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    // Leases are renewed to the last: writing a checkpoint takes its time.
    for (const timer of this.#timers) clearInterval(timer);
  }

  async #look(): Promise<void> {
    const { store, log, observer, now, sweep } = this.#deps;
    await this.#takeUp(undefined, "the silence of its service");
    for (const { name } of await store.jobs.overdue(now(), RECOVERY_BATCH)) {
      const job = await log.change(name, (current) =>
        current.state === "QUEUED" || current.state === "PAUSED" ? fail(current, { reason: "TRAINING_TIME_EXCEEDED", message: deadlineMessage(current.limits.deadlineMs ?? now()) }, now()) : current,
      );
      if (job.endTimeMs !== undefined) observer.jobEnded(job);
    }
    await sweep();
    await this.#fill();
  }

  /** Queues running jobs that nobody holds, or that this name held before its process began. */
  async #takeUp(owner: string | undefined, how: string): Promise<void> {
    const { store, log, attemptsMax, now, observer } = this.#deps;
    for (;;) {
      const left = (await store.jobs.abandoned(now(), owner, RECOVERY_BATCH)).filter(({ name, attemptCount }) => this.#running.get(name)?.attempt !== attemptCount);
      for (const { name, attemptCount } of left) {
        const job = await log.change(name, (current) => (current.state === "RUNNING" && current.attemptCount === attemptCount ? afterLostAttempt(current, { attemptsMax, how }, now()) : current));
        if (job.endTimeMs !== undefined) observer.jobEnded(job);
      }
      if (left.length < RECOVERY_BATCH) return;
    }
  }

  /** Keeps what runs here; stops what is another's by now, and what its caller wants stopped. */
  async #renew(): Promise<void> {
    const { store, owner, leaseMs, now } = this.#deps;
    if (this.#running.size === 0) return;
    const held = new Map((await store.jobs.renewLeases(owner, now() + leaseMs)).map(({ job, attempt }) => [job, attempt]));
    for (const [name, { attempt }] of this.#running) {
      if (held.get(name) !== attempt) {
        // One that has just ended is no loss: nobody listens any more.
        this.stop(name, "lost");
        continue;
      }
      this.#heed(await store.jobs.get(name));
    }
  }

  #heed(job: JobRecord | undefined): void {
    if (job?.cancelRequested === true) this.stop(job.name, "cancelled");
    else if (job?.pauseRequested === true) this.stop(job.name, "paused");
  }

  async #fill(): Promise<void> {
    const { store, owner, concurrency, shares, now } = this.#deps;
    while (!this.#stopping) {
      const waiting = await store.jobs.claims("QUEUED", WAITING_LOOKED_AT_MAX);
      if (waiting.length === 0) return;
      const running = await store.jobs.claims("RUNNING", RUNNING_LOOKED_AT_MAX);
      const used = await store.shares.list();
      const projects: Record<string, ProjectShare> = {};
      for (const { project } of [...waiting, ...running]) projects[project] = { weight: shares.weights[project], runningMax: shares.projectRunningMax };
      for (const { project, usageMs, atMs } of used) {
        if (project in projects) projects[project] = { ...projects[project], usageMs: fadedUsage(usageMs, now() - atMs, USAGE_HALF_LIFE_MS) };
      }
      const choice = chooseNext({ waiting, running, freeCount: Math.max(0, concurrency - this.#running.size), projects });
      if (choice === undefined) return;
      if (choice.preempt !== undefined) {
        // Its end wakes the queue. A job of another service is that one's to stop: it makes the same choice.
        if (running.find(({ id }) => id === choice.preempt?.id)?.owner === owner) this.stop(choice.preempt.id, "preempted");
        return;
      }
      if (this.#running.size >= concurrency) return;
      await this.#begin(choice.start.id);
    }
  }

  async #begin(name: string): Promise<void> {
    const { store, log, runner, observer, owner, leaseMs, now } = this.#deps;
    const before = (await store.jobs.get(name))?.attemptCount;
    const job = await log.begin(name, (current) => (current.state === "QUEUED" && current.attemptCount === before ? start(current, now()) : current), { owner, expiresMs: now() + leaseMs });
    // Cancelled, or taken by another service, between the two looks.
    if (job.state !== "RUNNING" || job.attemptCount === before) return;
    const controller = new AbortController();
    const ended = runner
      .run(job, owner, controller)
      .catch((error: unknown) => observer.unexpected("job_not_run", name, error))
      .finally(() => {
        this.#running.delete(name);
        this.wake();
      });
    this.#running.set(name, { controller, ended, attempt: job.attemptCount });
    // A wish may have been stored before there was anybody to tell.
    this.#heed(await store.jobs.get(name));
  }
}
