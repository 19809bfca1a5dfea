import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import type { JobEventRecord, JobRecord } from "./records.ts";
import type { CheckpointRecord } from "./run-record.ts";
import { hasEnded } from "./training-job.ts";
import type { AttemptFence, TrainingStore } from "./training-store.ts";

const BATCH = 200;
/** How often a watcher looks although nobody called: a notice may have been given before it listened. */
const LOOK_EVERY_MS = 1_000;
/** The newest events of a job that are kept. */
export const EVENTS_KEPT_MAX = 10_000;

/** What the log stands on. */
export interface JobLogDeps {
  readonly store: TrainingStore;
  readonly changes: ChangeSignal;
  readonly now: () => number;
  /** @default EVENTS_KEPT_MAX */
  readonly eventsKeptMax?: number;
}

/** The only writer of jobs: each change is stored together with its event, under the job's lock. */
export class JobLog {
  readonly #deps: JobLogDeps;
  readonly #keep: number;

  constructor(deps: JobLogDeps) {
    this.#deps = deps;
    this.#keep = deps.eventsKeptMax ?? EVENTS_KEPT_MAX;
  }

  /** Inserts a job with its first event, inside the caller's transaction; call {@link announce} after the commit. */
  async insert(store: TrainingStore, draft: Omit<JobRecord, "sequence">): Promise<JobRecord> {
    const job = await store.jobs.insert(draft);
    await this.#append(store, job.name, { kind: "state", job });
    return job;
  }

  /** Wakes watchers of what the caller committed. */
  announce(): void {
    this.#deps.changes.notify();
  }

  /**
   * Applies a transition; the same record back means that nothing is to be done. An unchanged state is stored without
   * an event.
   *
   * @throws StatusError `TRAINING_JOB_NOT_FOUND`, and what the transition throws
   */
  async change(name: string, transition: (job: JobRecord) => JobRecord): Promise<JobRecord> {
    return this.begin(name, transition, undefined);
  }

  /** As {@link change}; what the transition changes is leased to a service. */
  async begin(name: string, transition: (job: JobRecord) => JobRecord, lease: { readonly owner: string; readonly expiresMs: number } | undefined): Promise<JobRecord> {
    const job = await this.#deps.store.transact(async (store) => {
      const before = await store.jobs.lock(name);
      if (before === undefined) throw jobNotFound(name);
      const after = transition(before);
      if (after === before) return before;
      await store.jobs.update(after);
      if (lease !== undefined) await store.jobs.lease(name, lease.owner, lease.expiresMs);
      if (after.state !== before.state) await this.#append(store, name, { kind: "state", job: after });
      return after;
    });
    this.announce();
    return job;
  }

  /**
   * As {@link change}, for what an attempt says of itself.
   *
   * @throws StatusError `ATTEMPT_STALE` when it is no longer the attempt that runs
   */
  async changeAttempt(attempt: AttemptFence, transition: (job: JobRecord) => JobRecord): Promise<JobRecord> {
    return this.#fenced(attempt, async (store, before) => {
      const after = transition(before);
      await store.jobs.update(after);
      if (after.state !== before.state) await this.#append(store, attempt.job, { kind: "state", job: after });
      return after;
    });
  }

  /** Stores news of an attempt as an event, and what it changes of the job. @throws StatusError `ATTEMPT_STALE` */
  async report(attempt: AttemptFence, event: JobEventRecord["event"], change: Partial<JobRecord> = {}): Promise<void> {
    await this.#fenced(attempt, async (store, before) => {
      await store.jobs.update({ ...before, ...change });
      await this.#append(store, attempt.job, event);
    });
  }

  /**
   * Records a checkpoint whose bytes are stored; all but the newest `keep` and the newest best one are forgotten.
   *
   * @returns digests of the forgotten ones
   * @throws StatusError `ATTEMPT_STALE`: nothing of it is recorded
   */
  async checkpoint(attempt: AttemptFence, checkpoint: CheckpointRecord, keep: number, change: Partial<JobRecord>): Promise<string[]> {
    return this.#fenced(attempt, async (store, before) => {
      await store.checkpoints.insert(attempt.job, checkpoint);
      const all = await store.checkpoints.list(attempt.job);
      const best = all.find((each) => each.best);
      const dropped = all.filter((each, index) => index >= keep && each !== best);
      for (const { step } of dropped) await store.checkpoints.delete(attempt.job, step);
      // Attempts that come farther than the ones before are no sign of a job that kills its process.
      const farther = checkpoint.step > (before.checkpoint?.step ?? 0);
      await store.jobs.update({ ...before, ...change, checkpoint: all[0], lostAttemptCount: farther ? 0 : before.lostAttemptCount });
      await this.#append(store, attempt.job, { kind: "checkpoint", checkpoint });
      return dropped.map(({ sha256 }) => sha256);
    });
  }

  async #fenced<T>(attempt: AttemptFence, work: (store: TrainingStore, job: JobRecord) => Promise<T>): Promise<T> {
    const result = await this.#deps.store.transact(async (store) => {
      const job = await store.jobs.fence(attempt);
      if (job === undefined) throw new StatusError("ATTEMPT_STALE", `attempt ${attempt.attempt} of ${attempt.job} is no longer the one that runs: what it says is dropped`, { metadata: { training_job: attempt.job } });
      return work(store, job);
    });
    this.announce();
    return result;
  }

  async #append(store: TrainingStore, job: string, event: JobEventRecord["event"]): Promise<void> {
    await store.events.append(job, { timeMs: this.#deps.now(), event }, this.#keep);
  }

  /**
   * Yields the events after an offset, then what comes; ends after the event by which the job ended. Where older events
   * are no longer kept it begins with the oldest that is: every state event holds the whole job, so nothing is lost.
   *
   * @throws StatusError `TRAINING_JOB_NOT_FOUND`, `FIELD_INVALID`
   */
  async *watch(name: string, afterOffset: number, signal: AbortSignal): AsyncGenerator<JobEventRecord> {
    if (afterOffset < 0) throw new StatusError("FIELD_INVALID", `after_offset must not be negative, got ${afterOffset}`, { metadata: { field: "after_offset" } });
    let last = afterOffset;
    while (!signal.aborted) {
      const changed = this.#deps.changes.next(LOOK_EVERY_MS, signal);
      // Read before the events: an end that is seen here has its event in what is read next.
      const job = await this.#deps.store.jobs.get(name);
      if (job === undefined) throw jobNotFound(name);
      const events = await this.#deps.store.events.after(name, last, BATCH);
      for (const event of events) {
        last = event.offset;
        yield event;
      }
      if (events.length === BATCH) continue;
      if (hasEnded(job)) return;
      await changed;
    }
  }
}

/** There is no such job. */
export function jobNotFound(name: string): StatusError {
  return new StatusError("TRAINING_JOB_NOT_FOUND", `there is no training job ${name}: list them with \`servable train list\``, { metadata: { training_job: name } });
}
