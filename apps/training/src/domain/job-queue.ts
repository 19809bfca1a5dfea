import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { checkId, checkServedName, formatName, parseName } from "@servable/aip";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { lockVersion, parseVersion } from "./dataset-catalog.ts";
import { splitOf } from "./dataset-splits.ts";
import { jobNotFound, type JobLog } from "./job-log.ts";
import type { JobObserver, JobRunner, StopReason } from "./job-runner.ts";
import type { JobRecord } from "./records.ts";
import { afterLostAttempt, cancel, hasEnded, start } from "./training-job.ts";
import { resolveSpec, type TrainingSpecDraft } from "./training-spec.ts";
import type { ListOptions, TrainingStore } from "./training-store.ts";

const JOB_NAME = "projects/{project}/trainingJobs/{training_job}";
/** How often the queue is looked at although nothing was reported: the database may have been away. */
const LOOK_EVERY_MS = 2_000;
const RECOVERY_BATCH = 1_000;

/** A job as its caller asks for it. */
export interface JobDraft {
  readonly parent: string;
  /** Empty = chosen here. */
  readonly jobId: string;
  readonly dataset: string;
  readonly model: string;
  readonly spec: TrainingSpecDraft;
  /** A UUID, or empty. */
  readonly requestId: string;
}

/** What a queue stands on. */
export interface JobQueueDeps {
  readonly store: TrainingStore;
  readonly log: JobLog;
  readonly runner: JobRunner;
  readonly observer: JobObserver;
  readonly workDir: string;
  /** Jobs that may wait. */
  readonly queuedMax: number;
  /** Jobs that run at once. */
  readonly concurrency: number;
  readonly attemptsMax: number;
  readonly now: () => number;
}

/**
 * The jobs: asked for, waiting first come first served, running up to `concurrency` at once.
 *
 * I1  The queue is the database's QUEUED jobs by `sequence`; this object only remembers whom it runs.
 * I2  A RUNNING job has an entry in `#running`, or its process is gone: one service owns a database's jobs.
 */
export class JobQueue implements AsyncDisposable {
  readonly #deps: JobQueueDeps;
  readonly #running = new Map<string, { readonly controller: AbortController; readonly ended: Promise<void> }>();
  #filling: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor(deps: JobQueueDeps) {
    this.#deps = deps;
  }

  /** Takes up what an earlier process left, then works until disposed. */
  async start(): Promise<void> {
    const { store, log, attemptsMax, now, workDir } = this.#deps;
    await rm(workDir, { recursive: true, force: true });
    for (let left = await store.jobs.inState("RUNNING", RECOVERY_BATCH); left.length > 0; left = await store.jobs.inState("RUNNING", RECOVERY_BATCH)) {
      for (const { name } of left) await log.change(name, (job) => afterLostAttempt(job, { attemptsMax, how: "the end of the service" }, now()));
    }
    this.#timer = setInterval(() => this.#wake(), LOOK_EVERY_MS);
    this.#timer.unref();
    this.#wake();
  }

  /** @throws StatusError `DATASET_NOT_FOUND`, `QUEUE_FULL`, `ALREADY_EXISTS`, `FIELD_REQUIRED`, `FIELD_INVALID`, `TARGET_UNSUITABLE` */
  async create(draft: JobDraft, creator: Identity, traceparent: string | undefined): Promise<JobRecord> {
    const { store, log, now, queuedMax } = this.#deps;
    const { project } = parseName("projects/{project}", draft.parent, "parent");
    const jobId = draft.jobId === "" ? `job-${randomBytes(5).toString("hex")}` : checkId("training_job_id", draft.jobId);
    checkReferences(draft, project);
    const known = (): Promise<JobRecord | undefined> => (draft.requestId === "" ? Promise.resolve(undefined) : store.jobs.getByRequestId(project, draft.requestId));
    const made = await known();
    if (made !== undefined) return made;
    const inserted = store.transact(async (transaction) => {
      const dataset = await lockVersion(transaction, draft.dataset);
      const spec = resolveSpec(draft.spec, dataset);
      if (spec.split !== "") splitOf(dataset, spec.split);
      if ((await transaction.jobs.countQueued()) >= queuedMax) {
        throw new StatusError("QUEUE_FULL", `${queuedMax} jobs wait already (SERVABLE_TRAINING_QUEUE_MAX): try again when one has ended`, { metadata: { limit: "SERVABLE_TRAINING_QUEUE_MAX" } });
      }
      return log.insert(transaction, {
        name: formatName(JOB_NAME, { project, training_job: jobId }),
        project,
        dataset: dataset.name,
        datasetDigest: dataset.digest,
        model: draft.model,
        spec,
        state: "QUEUED",
        failureReason: "",
        failureMessage: "",
        modelVersion: "",
        attemptCount: 0,
        lostAttemptCount: 0,
        cancelRequested: false,
        creator,
        requestId: draft.requestId,
        traceparent,
        createTimeMs: now(),
      });
    });
    const job = await inserted.catch(async (error: unknown) => {
      // The same request may have come twice at once; the id of another job is taken in any case.
      const twin = await known();
      if (twin === undefined) throw error;
      return twin;
    });
    log.announce();
    this.#wake();
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
    parseName(JOB_NAME, name);
    const job = await this.#deps.log.change(name, (current) => {
      if (current.state !== "RUNNING") return cancel(current, this.#deps.now());
      return current.cancelRequested ? current : { ...current, cancelRequested: true };
    });
    if (hasEnded(job)) this.#deps.observer.jobEnded(job);
    else this.#stop(name, "cancelled");
    return job;
  }

  /** Stops what runs; it is queued again for the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    await this.#filling;
    for (const name of this.#running.keys()) this.#stop(name, "shutdown");
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  #stop(name: string, reason: StopReason): void {
    this.#running.get(name)?.controller.abort(reason);
  }

  #wake(): void {
    this.#filling = this.#filling.then(() => this.#fill()).catch((error: unknown) => this.#deps.observer.unexpected("queue_not_read", "", error));
  }

  async #fill(): Promise<void> {
    while (!this.#stopping && this.#running.size < this.#deps.concurrency) {
      const [first] = await this.#deps.store.jobs.inState("QUEUED", 1);
      if (first === undefined) return;
      const job = await this.#deps.log.change(first.name, (current) => (current.state === "QUEUED" ? start(current, this.#deps.now()) : current));
      if (job.state !== "RUNNING") continue; // Cancelled between the two looks.
      const controller = new AbortController();
      const ended = this.#deps.runner
        .run(job, controller.signal)
        .catch((error: unknown) => this.#deps.observer.unexpected("job_not_run", job.name, error))
        .finally(() => {
          this.#running.delete(job.name);
          if (!this.#stopping) this.#wake();
        });
      this.#running.set(job.name, { controller, ended });
      // A cancellation may have been stored before there was anybody to tell.
      if ((await this.#deps.store.jobs.get(job.name))?.cancelRequested === true) this.#stop(job.name, "cancelled");
    }
  }
}

function checkReferences(draft: JobDraft, project: string): void {
  const dataset = parseVersion(draft.dataset, "training_job.dataset");
  const model = parseName("projects/{project}/models/{model}", draft.model, "training_job.model");
  checkServedName("training_job.model", model.model);
  for (const [field, other] of [["training_job.dataset", dataset.project], ["training_job.model", model.project]] as const) {
    if (other !== project) throw new StatusError("FIELD_INVALID", `${field} is of projects/${other}, it must be of projects/${project} as the job`, { metadata: { field } });
  }
  if (draft.requestId !== "" && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(draft.requestId)) {
    throw new StatusError("FIELD_INVALID", `request_id="${draft.requestId.slice(0, 64)}" must be a UUID`, { metadata: { field: "request_id" } });
  }
}
