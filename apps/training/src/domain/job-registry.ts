import { parseName } from "@servable/aip";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import type { BaseModels } from "./base-model.ts";
import { lockVersion } from "./dataset-catalog.ts";
import { checkDraft, JOB_NAME, newJob, type JobDraft } from "./job-draft.ts";
import type { StopReason } from "./job-executor.ts";
import { jobNotFound, type JobLog } from "./job-log.ts";
import type { JobQueue } from "./job-queue.ts";
import type { JobObserver } from "./job-runner.ts";
import type { JobRecord } from "./records.ts";
import { reproducible } from "./reproduction.ts";
import { cancel, hasEnded, pause, resume } from "./training-job.ts";
import type { TrainingSpecDraft } from "./training-spec.ts";
import type { ListOptions, TrainingStore } from "./training-store.ts";

/** Jobs that may wait. */
export interface QueueBounds {
  readonly queuedMax: number;
  readonly projectQueuedMax: number;
}

/** What the jobs stand on. */
export interface JobRegistryDeps {
  readonly store: TrainingStore;
  readonly log: JobLog;
  readonly queue: Pick<JobQueue, "wake" | "stop">;
  readonly baseModels: BaseModels;
  readonly observer: JobObserver;
  readonly bounds: QueueBounds;
  readonly now: () => number;
}

/** The jobs as their callers see them: asked for, read, cancelled, paused and resumed. Studies create their trials here, too. */
export class JobRegistry {
  readonly #deps: JobRegistryDeps;

  constructor(deps: JobRegistryDeps) {
    this.#deps = deps;
  }

  /** @throws StatusError `DATASET_NOT_FOUND`, `QUEUE_FULL`, `QUOTA_EXCEEDED`, `ALREADY_EXISTS`, `FIELD_REQUIRED`, `FIELD_INVALID`, `TARGET_UNSUITABLE`, `MODEL_VERSION_NOT_FOUND`, `STATE_WRONG` */
  async create(asked: JobDraft, creator: Identity, traceparent: string | undefined): Promise<JobRecord> {
    const { store, log, now } = this.#deps;
    const draft = await this.#pinned(await this.#asRepetition(asked), creator);
    const { project, name } = checkDraft(draft);
    const known = (): Promise<JobRecord | undefined> => (draft.requestId === "" ? Promise.resolve(undefined) : store.jobs.getByRequestId(project, draft.requestId));
    const made = await known();
    if (made !== undefined) return made;
    const inserted = store.transact(async (transaction) => {
      const dataset = await lockVersion(transaction, draft.dataset);
      const job = newJob(draft, { project, name, dataset, creator, traceparent, nowMs: now() });
      await this.#checkRoom(transaction, project);
      return log.insert(transaction, job);
    });
    const job = await inserted.catch(async (error: unknown) => {
      // The same request may have come twice at once; the id of another job is taken in any case.
      const twin = await known();
      if (twin === undefined) throw error;
      return twin;
    });
    log.announce();
    this.#deps.queue.wake();
    return job;
  }

  /** @throws StatusError `TRAINING_JOB_NOT_FOUND` */
  async get(name: string): Promise<JobRecord> {
    parseName(JOB_NAME, name);
    const job = await this.#deps.store.jobs.get(name);
    if (job === undefined) throw jobNotFound(name);
    return job;
  }

  /** The jobs of a project, newest first. */
  async list(parent: string, options: ListOptions): Promise<JobRecord[]> {
    const { project } = parseName("projects/{project}", parent, "parent");
    return this.#deps.store.jobs.list(project, options);
  }

  /** Ends a waiting job at once and asks a running one to stop. @throws StatusError `TRAINING_JOB_NOT_FOUND`, `STATE_WRONG` */
  async cancel(name: string): Promise<JobRecord> {
    return this.#ask(name, "cancelled", (job) => (job.state === "RUNNING" ? { ...job, cancelRequested: true } : cancel(job, this.#deps.now())));
  }

  /** Takes a waiting job out of the queue at once and asks a running one to stop with a checkpoint. @throws StatusError `TRAINING_JOB_NOT_FOUND`, `STATE_WRONG` */
  async pause(name: string): Promise<JobRecord> {
    return this.#ask(name, "paused", (job) => {
      if (job.state === "PAUSED") return job;
      return job.state === "RUNNING" ? { ...job, pauseRequested: true } : pause(job);
    });
  }

  /** Queues a paused job again. @throws StatusError `TRAINING_JOB_NOT_FOUND`, `STATE_WRONG`, `QUEUE_FULL`, `QUOTA_EXCEEDED` */
  async resume(name: string): Promise<JobRecord> {
    const { project } = await this.get(name);
    await this.#checkRoom(this.#deps.store, project);
    const job = await this.#deps.log.change(name, resume);
    this.#deps.queue.wake();
    return job;
  }

  async #ask(name: string, reason: StopReason, transition: (job: JobRecord) => JobRecord): Promise<JobRecord> {
    parseName(JOB_NAME, name);
    const job = await this.#deps.log.change(name, transition);
    if (hasEnded(job)) this.#deps.observer.jobEnded(job);
    // Another service may run it: its queue sees the wish when it renews its leases.
    else if (job.state === "RUNNING") this.#deps.queue.stop(name, reason);
    return job;
  }

  async #checkRoom(store: TrainingStore, project: string): Promise<void> {
    const { queuedMax, projectQueuedMax } = this.#deps.bounds;
    if ((await store.jobs.count("QUEUED")) >= queuedMax) {
      throw new StatusError("QUEUE_FULL", `${queuedMax} jobs wait already (SERVABLE_TRAINING_QUEUE_MAX): try again when one has ended`, { metadata: { limit: "SERVABLE_TRAINING_QUEUE_MAX" } });
    }
    if ((await store.jobs.count("QUEUED", project)) >= projectQueuedMax) {
      throw new StatusError("QUOTA_EXCEEDED", `${projectQueuedMax} jobs of the project wait already (SERVABLE_TRAINING_PROJECT_QUEUED_MAX): try again when one has ended`, { metadata: { limit: "SERVABLE_TRAINING_PROJECT_QUEUED_MAX" } });
    }
  }

  /** An alias may move: the job keeps the version that it named when the job was created. */
  async #pinned(draft: JobDraft, identity: Identity): Promise<JobDraft> {
    const name = draft.spec.baseModel ?? "";
    if (name === "" || !/^projects\/[^/]+\/models\/[^/]+\/versions\/[^/]+$/.test(name)) return draft;
    const { version } = await this.#deps.baseModels.resolve(name, identity);
    return { ...draft, spec: { ...draft.spec, baseModel: version } };
  }

  /** A repetition takes everything that decides the result from the job that it repeats. */
  async #asRepetition(draft: JobDraft): Promise<JobDraft> {
    const { reproducedJob = "" } = draft;
    if (reproducedJob === "") return draft;
    const original = await this.get(reproducedJob);
    reproducible(original);
    const dataset = await this.#deps.store.datasets.pinned(original.dataset, original.datasetDigest);
    if (dataset === undefined) {
      throw new StatusError("STATE_WRONG", `${original.dataset} is gone or has other content: ${original.name} was trained on ${original.datasetDigest} and cannot be repeated`, { metadata: { dataset: original.dataset } });
    }
    const { earlyStopping, lowRankAdaptation, ...rest } = original.spec;
    const spec: TrainingSpecDraft = { ...rest, ...(earlyStopping === undefined ? {} : { earlyStopping }), ...(lowRankAdaptation === undefined ? {} : { lowRankAdaptation }) };
    return { ...draft, dataset: `${dataset.name}/versions/${dataset.version}`, model: original.model, spec };
  }
}
