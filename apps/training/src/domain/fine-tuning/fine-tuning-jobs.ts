import { randomBytes, randomInt } from "node:crypto";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import type { JobEventRecord, JobRecord } from "../records.ts";
import { baseLabel, fineTunedName, parseBaseModel } from "./model-names.ts";
import { tuningEnded, type FineTuningStore, type TuningFamily, type TuningHyperparameters, type TuningPage, type TuningRecord } from "./records.ts";
import type { StoredFiles } from "./stored-files.ts";
import { fileNotFound } from "./stored-files.ts";
import { tuningEvents, type TuningEvent } from "./tuning-events.ts";

const METADATA_MAX = 16;
const METADATA_LENGTHS = { key: 64, value: 512 } as const;
const SUFFIX = /^[A-Za-z0-9_-]{1,64}$/;
const SEED_MAX = 2_147_483_647;
const EVENTS_BATCH = 1_000;

/** A job as its caller asks for it. */
export interface TuningDraft {
  readonly project: string;
  readonly model: string;
  readonly trainingFile: string;
  readonly validationFile: string;
  readonly suffix: string;
  readonly seed: number | undefined;
  readonly hyperparameters: TuningHyperparameters;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Finds base models. */
export interface TuningBases {
  /** @throws StatusError `MODEL_NOT_FOUND`, `FIELD_INVALID` for a model that cannot be fine-tuned on texts */
  inspect(reference: { readonly project: string; readonly model: string; readonly version: string }, identity: Identity): Promise<{ readonly version: string; readonly family: TuningFamily; readonly positions?: number | undefined }>;
}

/** The training jobs behind fine-tuning jobs. */
export interface TrainingJobs {
  get(name: string): Promise<JobRecord>;
  cancel(name: string): Promise<JobRecord>;
  pause(name: string): Promise<JobRecord>;
  resume(name: string): Promise<JobRecord>;
}

/** What the jobs stand on. */
export interface FineTuningJobsDeps {
  readonly store: FineTuningStore["jobs"];
  readonly files: StoredFiles;
  readonly bases: TuningBases;
  readonly jobs: TrainingJobs;
  readonly events: { after(job: string, offset: number, limit: number): Promise<readonly JobEventRecord[]> };
  /** Takes a job on from where it is; it is called once for each. */
  readonly follow: (job: TuningRecord) => void;
  readonly now: () => number;
}

/** A job with the training job that it waits for, where there is one. */
export interface TuningView {
  readonly job: TuningRecord;
  readonly training: JobRecord | undefined;
}

/** Fine-tuning jobs as their callers see them. */
export class FineTuningJobs {
  readonly #deps: FineTuningJobsDeps;

  constructor(deps: FineTuningJobsDeps) {
    this.#deps = deps;
  }

  /** @throws StatusError `FILE_NOT_FOUND`, `MODEL_NOT_FOUND`, `FIELD_INVALID` naming the field */
  async create(draft: TuningDraft, creator: Identity): Promise<TuningView> {
    check(draft);
    const { files, bases, store, now } = this.#deps;
    const { project, trainingFile, validationFile } = draft;
    const base = await bases.inspect({ project, ...parseBaseModel(draft.model) }, creator);
    for (const [field, id] of [["training_file", trainingFile], ["validation_file", validationFile]] as const) {
      if (id === "" && field === "validation_file") continue;
      const file = await files.get(project, id).catch(() => undefined);
      if (file === undefined) throw fileNotFound(id, field);
      if (file.purpose !== "fine-tune") throw invalid(field, `${id} has the purpose "${file.purpose}", it must be "fine-tune"`);
    }
    const job: TuningRecord = {
      id: `ftjob-${randomBytes(12).toString("hex")}`,
      project,
      model: draft.model,
      baseVersion: base.version,
      family: base.family,
      positions: base.positions,
      trainingFile,
      validationFile,
      suffix: draft.suffix,
      seed: draft.seed ?? randomInt(SEED_MAX),
      hyperparameters: draft.hyperparameters,
      metadata: draft.metadata,
      phase: "validating",
      trainingJob: "",
      fineTunedModel: "",
      resultFiles: [],
      creator,
      createTimeMs: now(),
    };
    await store.insert(job);
    this.#deps.follow(job);
    return { job, training: undefined };
  }

  /** @throws StatusError `FINE_TUNING_JOB_NOT_FOUND` */
  async get(project: string, id: string): Promise<TuningView> {
    const job = await this.#deps.store.get(project, id);
    if (job === undefined) throw tuningJobNotFound(id);
    return this.#view(job);
  }

  /** Newest first; those with all of the metadata. */
  async list(project: string, page: TuningPage, metadata: Readonly<Record<string, string>>): Promise<TuningView[]> {
    const wanted = Object.entries(metadata);
    const found: TuningRecord[] = [];
    for (let after = page.after; ; ) {
      const jobs = await this.#deps.store.list(project, { after, limit: page.limit });
      found.push(...jobs.filter((job) => wanted.every(([key, value]) => job.metadata[key] === value)));
      const last = jobs.at(-1);
      if (last === undefined || jobs.length < page.limit || found.length >= page.limit) break;
      after = last.id;
    }
    return Promise.all(found.slice(0, page.limit).map((job) => this.#view(job)));
  }

  /** @throws StatusError `FINE_TUNING_JOB_NOT_FOUND`, `STATE_WRONG` when it has ended */
  async cancel(project: string, id: string): Promise<TuningView> {
    const { job } = await this.get(project, id);
    const after = await this.#deps.store.change(id, (current) => {
      if (tuningEnded(current) || current.phase === "publishing") throw stateWrong(current, "has nothing to cancel");
      return current.phase === "validating" ? { ...current, phase: "cancelled", endTimeMs: this.#deps.now() } : current;
    });
    if (after?.phase === "training") await this.#deps.jobs.cancel(after.trainingJob);
    return this.get(job.project, id);
  }

  /** @throws StatusError `FINE_TUNING_JOB_NOT_FOUND`, `STATE_WRONG` */
  async pause(project: string, id: string): Promise<TuningView> {
    const { job } = await this.get(project, id);
    if (job.phase !== "training") throw stateWrong(job, "cannot be paused");
    await this.#deps.jobs.pause(job.trainingJob);
    return this.get(project, id);
  }

  /** @throws StatusError `FINE_TUNING_JOB_NOT_FOUND`, `STATE_WRONG` */
  async resume(project: string, id: string): Promise<TuningView> {
    const { job } = await this.get(project, id);
    if (job.phase !== "training") throw stateWrong(job, "is not paused");
    await this.#deps.jobs.resume(job.trainingJob);
    return this.get(project, id);
  }

  /** What happened, newest first, after the event of an id. @throws StatusError `FINE_TUNING_JOB_NOT_FOUND`, `FIELD_INVALID` */
  async events(project: string, id: string, { after, limit }: TuningPage): Promise<TuningEvent[]> {
    const { job } = await this.get(project, id);
    const events = tuningEvents(job, await logOf(this.#deps.events, job)).reverse();
    const from = after === "" ? -1 : events.findIndex((event) => event.id === after);
    if (after !== "" && from === -1) throw invalid("after", `${after} is no event of ${id}`);
    return events.slice(from + 1, from + 1 + limit);
  }

  async #view(job: TuningRecord): Promise<TuningView> {
    return { job, training: job.phase === "training" ? await this.#deps.jobs.get(job.trainingJob).catch(() => undefined) : undefined };
  }
}

/** The whole log of a job's training job. */
export async function logOf(events: FineTuningJobsDeps["events"], { trainingJob }: TuningRecord): Promise<JobEventRecord[]> {
  const log: JobEventRecord[] = [];
  for (let offset = 0; trainingJob !== ""; ) {
    const batch = await events.after(trainingJob, offset, EVENTS_BATCH);
    log.push(...batch);
    const last = batch.at(-1);
    if (last === undefined || batch.length < EVENTS_BATCH) break;
    offset = last.offset;
  }
  return log;
}

/** The name of a job's result. */
export function resultName({ model, project, suffix, id }: TuningRecord): string {
  return fineTunedName({ base: baseLabel(model), project, suffix, id: id.slice("ftjob-".length, "ftjob-".length + 8) });
}

/** There is no such job. */
export function tuningJobNotFound(id: string, field?: string): StatusError {
  return new StatusError("FINE_TUNING_JOB_NOT_FOUND", `there is no fine-tuning job ${id}: list them with GET /v1/fine_tuning/jobs`, { metadata: { fine_tuning_job: id, ...(field === undefined ? {} : { field }) } });
}

function check({ model, trainingFile, suffix, seed, hyperparameters, metadata }: TuningDraft): void {
  if (model === "") throw new StatusError("FIELD_REQUIRED", "model is required: the id of a model of the registry", { metadata: { field: "model" } });
  if (trainingFile === "") throw new StatusError("FIELD_REQUIRED", "training_file is required: the id of a file of the purpose fine-tune", { metadata: { field: "training_file" } });
  if (suffix !== "" && !SUFFIX.test(suffix)) throw invalid("suffix", "must have 1 to 64 of letters, digits, - and _");
  if (seed !== undefined && !(Number.isInteger(seed) && seed >= 0 && seed <= SEED_MAX)) throw invalid("seed", `must be a whole number from 0 to ${SEED_MAX}`);
  const { batchSize, learningRateMultiplier, epochCount } = hyperparameters;
  if (batchSize !== undefined && !(Number.isInteger(batchSize) && batchSize >= 1 && batchSize <= 256)) throw invalid("hyperparameters.batch_size", 'must be "auto" or a whole number from 1 to 256');
  if (epochCount !== undefined && !(Number.isInteger(epochCount) && epochCount >= 1 && epochCount <= 50)) throw invalid("hyperparameters.n_epochs", 'must be "auto" or a whole number from 1 to 50');
  if (learningRateMultiplier !== undefined && !(learningRateMultiplier > 0 && learningRateMultiplier <= 1_000)) throw invalid("hyperparameters.learning_rate_multiplier", 'must be "auto" or a number above 0, at most 1000');
  if (Object.keys(metadata).length > METADATA_MAX) throw invalid("metadata", `must have at most ${METADATA_MAX} entries`);
  for (const [key, value] of Object.entries(metadata)) {
    if (key.length > METADATA_LENGTHS.key || value.length > METADATA_LENGTHS.value) throw invalid("metadata", `"${key.slice(0, 20)}" is too long: keys have at most ${METADATA_LENGTHS.key}, values ${METADATA_LENGTHS.value} characters`);
  }
}

function stateWrong({ id, phase }: TuningRecord, what: string): StatusError {
  return new StatusError("STATE_WRONG", `${id} is ${phase} and ${what}`, { metadata: { state: phase } });
}

function invalid(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
