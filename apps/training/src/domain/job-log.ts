import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import type { JobEventRecord, JobRecord, ProgressRecord } from "./records.ts";
import { hasEnded } from "./training-job.ts";
import type { TrainingStore } from "./training-store.ts";

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
    await store.events.append(job.name, { timeMs: this.#deps.now(), event: { kind: "state", job } }, this.#keep);
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
    const job = await this.#deps.store.transact(async (store) => {
      const before = await store.jobs.lock(name);
      if (before === undefined) throw jobNotFound(name);
      const after = transition(before);
      if (after === before) return before;
      await store.jobs.update(after);
      if (after.state !== before.state) await store.events.append(name, { timeMs: this.#deps.now(), event: { kind: "state", job: after } }, this.#keep);
      return after;
    });
    this.announce();
    return job;
  }

  /** Stores progress of a running job; that of another state comes too late and is dropped. */
  async progress(name: string, progress: ProgressRecord): Promise<void> {
    await this.#deps.store.transact(async (store) => {
      const job = await store.jobs.lock(name);
      if (job?.state !== "RUNNING") return;
      await store.jobs.update({ ...job, progress });
      await store.events.append(name, { timeMs: this.#deps.now(), event: { kind: "progress", progress } }, this.#keep);
    });
    this.announce();
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
