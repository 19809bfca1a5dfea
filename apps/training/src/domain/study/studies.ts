import { randomBytes } from "node:crypto";
import { parseName } from "@servable/aip";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { datasetNotFound } from "../dataset-catalog.ts";
import type { ListOptions } from "../training-store.ts";
import { checkStudyNames, resolveStudy, STUDY_NAME, type StudyDraft } from "./study-draft.ts";
import { driveStudy, type StudyDriverDeps } from "./study-driver.ts";
import { studyNotFound } from "./study-log.ts";
import { studyHasEnded, type StudyRecord, type TrialRecord } from "./study-records.ts";

/** Studies of one project that may be active at once: each holds jobs in the queue. */
export const ACTIVE_STUDIES_MAX = 100;

/**
 * The studies as their callers see them, and the drivers that lead them.
 *
 * I1  A study that has not ended has a driver here, or this service has not started yet.
 */
export class Studies implements AsyncDisposable {
  readonly #deps: StudyDriverDeps;
  readonly #stop = new AbortController();
  readonly #driven = new Map<string, Promise<void>>();

  constructor(deps: StudyDriverDeps) {
    this.#deps = deps;
  }

  /** Takes up what an earlier process left. */
  async start(): Promise<void> {
    for (const name of await this.#deps.store.studies.unfinished()) this.#drive(name);
  }

  /** @throws StatusError `DATASET_NOT_FOUND`, `QUOTA_EXCEEDED`, `ALREADY_EXISTS`, `FIELD_REQUIRED`, `FIELD_INVALID`, `TARGET_UNSUITABLE` */
  async create(draft: StudyDraft, creator: Identity, traceparent: string | undefined): Promise<StudyRecord> {
    const { store, log, now } = this.#deps;
    const { project, name } = checkStudyNames(draft, `study-${randomBytes(4).toString("hex")}`);
    if (draft.requestId !== "" && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(draft.requestId)) {
      throw new StatusError("FIELD_INVALID", `request_id="${draft.requestId.slice(0, 64)}" must be a UUID`, { metadata: { field: "request_id" } });
    }
    const known = (): Promise<StudyRecord | undefined> => (draft.requestId === "" ? Promise.resolve(undefined) : store.studies.getByRequestId(project, draft.requestId));
    const made = await known();
    if (made !== undefined) return made;
    const inserted = store.transact(async (transaction) => {
      const dataset = await transaction.datasets.lock(draft.dataset);
      if (dataset === undefined) throw datasetNotFound(draft.dataset);
      const settings = resolveStudy(draft, dataset);
      if ((await transaction.studies.countActive(project)) >= ACTIVE_STUDIES_MAX) {
        throw new StatusError("QUEUE_FULL", `${ACTIVE_STUDIES_MAX} studies of the project run already: wait for the end of one, or cancel one`, { metadata: { limit: "ACTIVE_STUDIES_MAX" } });
      }
      return log.insert(transaction, {
        ...settings,
        name,
        project,
        dataset: dataset.name,
        datasetDigest: dataset.digest,
        model: draft.model,
        spec: draft.spec,
        specJson: draft.specJson,
        state: "RUNNING",
        failureReason: "",
        failureMessage: "",
        counts: { RUNNING: 0, COMPLETE: 0, PRUNED: 0, FAILED: 0, CANCELLED: 0 },
        importances: [],
        finalJob: "",
        modelVersion: "",
        creator,
        requestId: draft.requestId,
        traceparent,
        createTimeMs: now(),
      });
    });
    const study = await inserted.catch(async (error: unknown) => {
      // The same request may have come twice at once; the id of another study is taken in any case.
      const twin = await known();
      if (twin === undefined) throw error;
      return twin;
    });
    log.announce();
    this.#drive(study.name);
    return study;
  }

  /** @throws StatusError `TUNING_STUDY_NOT_FOUND` */
  async get(name: string): Promise<StudyRecord> {
    parseName(STUDY_NAME, name);
    const study = await this.#deps.store.studies.get(name);
    if (study === undefined) throw studyNotFound(name);
    return study;
  }

  /** The studies of a project, newest first. */
  async list(parent: string, options: ListOptions): Promise<StudyRecord[]> {
    const { project } = parseName("projects/{project}", parent, "parent");
    return this.#deps.store.studies.list(project, options);
  }

  /** The trials of a study by number. @throws StatusError `TUNING_STUDY_NOT_FOUND` */
  async trials(name: string, options: ListOptions): Promise<TrialRecord[]> {
    await this.get(name);
    return this.#deps.store.studies.trials.list(name, options);
  }

  /** Ends a study; its running trials' jobs are cancelled by its driver. @throws StatusError `TUNING_STUDY_NOT_FOUND`, `STATE_WRONG` */
  async cancel(name: string): Promise<StudyRecord> {
    parseName(STUDY_NAME, name);
    const { log, jobs, now, observer } = this.#deps;
    const study = await log.edit(name, async ({ study: current, trials, updateTrial, become }) => {
      if (studyHasEnded(current)) throw new StatusError("STATE_WRONG", `${name} is ${current.state}: it has ended, create another study`, { metadata: { state: current.state } });
      for (const trial of await trials()) if (trial.state === "RUNNING") await updateTrial({ ...trial, state: "CANCELLED", settled: false, endTimeMs: now() });
      return become("CANCELLED", { endTimeMs: now() });
    });
    observer.studyEnded(study);
    // The final model's job is no trial's: nobody else would cancel it.
    if (study.finalJob !== "") await jobs.cancel(study.finalJob).catch(() => undefined);
    this.#drive(name);
    return study;
  }

  /** Begins no further trials. @throws StatusError `TUNING_STUDY_NOT_FOUND`, `STATE_WRONG` */
  async pause(name: string): Promise<StudyRecord> {
    parseName(STUDY_NAME, name);
    return this.#deps.log.edit(name, ({ become }) => become("PAUSED"));
  }

  /** Goes on. @throws StatusError `TUNING_STUDY_NOT_FOUND`, `STATE_WRONG` */
  async resume(name: string): Promise<StudyRecord> {
    parseName(STUDY_NAME, name);
    return this.#deps.log.edit(name, ({ study, become }) => {
      if (study.state !== "PAUSED") throw new StatusError("STATE_WRONG", `${name} is ${study.state}: only a PAUSED study is resumed`, { metadata: { state: study.state } });
      return become("RUNNING");
    });
  }

  /** Leaves all studies as they are; the next start goes on with them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#driven.values());
  }

  #drive(name: string): void {
    if (this.#driven.has(name) || this.#stop.signal.aborted) return;
    this.#driven.set(
      name,
      driveStudy(this.#deps, name, this.#stop.signal).finally(() => {
        this.#driven.delete(name);
      }),
    );
  }
}

