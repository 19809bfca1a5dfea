// Between a caller's file and a model that can be called lie a data set, a training job and a deployment. Each step may be
// done twice without harm, since all have names that follow from the job's id: after a crash the job is simply taken on from
// the phase that was stored.

import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import type { JobDraft } from "../job-draft.ts";
import type { DatasetRecord, JobEventRecord, JobRecord } from "../records.ts";
import { logOf, resultName, type FineTuningJobsDeps } from "./fine-tuning-jobs.ts";
import { servedName } from "./model-names.ts";
import { tuningEnded, type FineTuningStore, type TuningRecord } from "./records.ts";
import type { StoredFiles } from "./stored-files.ts";
import { chosenHyperparameters, countExamples } from "./tuning-data.ts";
import { metricsCsv } from "./tuning-events.ts";

/** What fits pretrained networks of this size; the caller's multiplier is on top. */
const LEARNING_RATES = { text_classifier: 2e-4, causal_lm: 3e-4 } as const;
/** Kept for judging where the caller gave no validation file. */
const VALIDATION_FRACTION = 0.1;
/** Tokens of an example; the rest is cut off. */
const TOKENS_MAX = 256;
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 10_000;
const RETRIES_MAX = 60;
const LOOK_EVERY_MS = 30_000;

/** What the follower stands on. */
export interface TuningFollowerDeps {
  readonly store: FineTuningStore["jobs"];
  readonly files: StoredFiles;
  /** Makes a data set of conversations; one of the same name is answered as it is. `validation` rows come last and are only judged by. */
  readonly makeDataset: (request: { readonly project: string; readonly id: string; readonly chunks: AsyncIterable<Uint8Array>; readonly trainingRowCount: number; readonly validationRowCount: number }, signal: AbortSignal) => Promise<{ readonly dataset: DatasetRecord; readonly split: string }>;
  readonly createJob: (draft: JobDraft, creator: Identity) => Promise<JobRecord>;
  readonly getJob: (name: string) => Promise<JobRecord>;
  /** Yields until the training job has ended. */
  readonly watch: (name: string, afterOffset: number, signal: AbortSignal) => AsyncIterable<JobEventRecord>;
  readonly events: FineTuningJobsDeps["events"];
  /** Makes a version callable under a name and waits until it is. */
  readonly deploy: (request: { readonly project: string; readonly name: string; readonly model: string }, identity: Identity, signal: AbortSignal) => Promise<void>;
  readonly unexpected: (event: string, job: string, error: unknown) => void;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly now: () => number;
}

/** Takes jobs to their end, each by itself. */
export class TuningFollower implements AsyncDisposable {
  readonly #deps: TuningFollowerDeps;
  readonly #stop = new AbortController();
  readonly #running = new Map<string, Promise<void>>();
  #looking: Promise<void> | undefined;

  constructor(deps: TuningFollowerDeps) {
    this.#deps = deps;
  }

  /** Takes on what an earlier process left, and now and then what another service has let go: two that follow one job do no harm. */
  async start(): Promise<void> {
    for (const job of await this.#deps.store.unfinished()) this.follow(job);
    this.#looking = this.#look();
  }

  async #look(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#deps.sleep(LOOK_EVERY_MS, signal).catch(() => {});
      if (signal.aborted) return;
      try {
        for (const job of await this.#deps.store.unfinished()) this.follow(job);
      } catch (error) {
        this.#deps.unexpected("fine_tunings_not_read", "", error);
      }
    }
  }

  /** Takes a job to its end. */
  follow({ id, project }: TuningRecord): void {
    if (this.#running.has(id) || this.#stop.signal.aborted) return;
    const running = this.#follow(project, id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new DOMException("the service stops", "AbortError"));
    await Promise.all([...this.#running.values(), this.#looking]);
  }

  async #follow(project: string, id: string): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const job = await this.#deps.store.get(project, id);
        if (job === undefined || tuningEnded(job)) return;
        await this.#advance(job, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        const failure = StatusError.from(error);
        if (failure.reason === "INTERNAL") this.#deps.unexpected("fine_tuning_failed_unexpectedly", id, failure.cause ?? error);
        if (failure.retryable && ++failures < RETRIES_MAX) await this.#deps.sleep(Math.min(RETRY_LAST_MS, RETRY_FIRST_MS * 2 ** failures), signal).catch(() => {});
        else await this.#end(id, { phase: "failed", failure: { reason: failure.reason, message: failure.message, field: failure.metadata["field"] ?? "" } }).catch((stored: unknown) => this.#deps.unexpected("fine_tuning_not_stored", id, stored));
      }
    }
  }

  async #advance(job: TuningRecord, signal: AbortSignal): Promise<void> {
    if (job.phase === "validating") return this.#validate(job, signal);
    if (job.phase === "publishing") return this.#publish(job, signal);
    for await (const _ of this.#deps.watch(job.trainingJob, 0, signal));
    if (signal.aborted) return;
    const training = await this.#deps.getJob(job.trainingJob);
    if (training.state === "SUCCEEDED") await this.#deps.store.change(job.id, (current) => (current.phase === "training" ? { ...current, phase: "publishing" } : current));
    else if (training.state === "CANCELLED") await this.#end(job.id, { phase: "cancelled" });
    else await this.#end(job.id, { phase: "failed", failure: { reason: training.failureReason, message: training.failureMessage, field: "" } });
  }

  async #validate(job: TuningRecord, signal: AbortSignal): Promise<void> {
    const { files, makeDataset, createJob, store, now } = this.#deps;
    const training = await files.get(job.project, job.trainingFile);
    const trainingRowCount = await countExamples(files.path(training), "training_file", signal);
    const validation = job.validationFile === "" ? undefined : await files.get(job.project, job.validationFile);
    const validationRowCount = validation === undefined ? 0 : await countExamples(files.path(validation), "validation_file", signal);
    const chosen = chosenHyperparameters(job.hyperparameters, trainingRowCount);
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      yield* files.read(training);
      // The last line may have no end of its own.
      if (validation !== undefined) yield Buffer.from("\n");
      if (validation !== undefined) yield* files.read(validation);
    };
    const name = `ft-${job.id.slice("ftjob-".length)}`;
    const { dataset, split } = await makeDataset({ project: job.project, id: name, chunks: chunks(), trainingRowCount, validationRowCount }, signal);
    const draft: JobDraft = {
      parent: `projects/${job.project}`,
      jobId: name,
      dataset: dataset.name,
      model: `projects/${job.project}/models/${servedName(resultName(job))}`,
      requestId: "",
      labels: { "fine-tuning-job": job.id },
      spec: {
        family: job.family,
        baseModel: job.baseVersion,
        seed: job.seed,
        batchSize: chosen.batchSize,
        epochCount: chosen.epochCount,
        learningRate: LEARNING_RATES[job.family] * chosen.learningRateMultiplier,
        optimizer: "adamw",
        maxSequenceLength: Math.min(TOKENS_MAX, job.positions ?? TOKENS_MAX),
        ...(split === "" ? { validationFraction: VALIDATION_FRACTION } : { split }),
      },
    };
    const made = await createJob(draft, job.creator).catch((error: unknown) => {
      if (StatusError.from(error).reason !== "ALREADY_EXISTS") throw error;
      return this.#deps.getJob(`projects/${job.project}/trainingJobs/${name}`);
    });
    await store.change(job.id, (current) => (current.phase === "validating" ? { ...current, phase: "training", hyperparameters: chosen, trainingJob: made.name, validateTimeMs: now() } : current));
  }

  async #publish(job: TuningRecord, signal: AbortSignal): Promise<void> {
    const { files, deploy, events, getJob } = this.#deps;
    const fineTunedModel = resultName(job);
    const result = await files.write(job.project, `metrics of ${job.id}`, "step_metrics.csv", metricsCsv(await logOf(events, job)));
    const training = await getJob(job.trainingJob);
    await deploy({ project: job.project, name: servedName(fineTunedModel), model: training.model }, job.creator, signal);
    await this.#end(job.id, { phase: "succeeded", fineTunedModel, resultFiles: [result.id], trainedTokenCount: training.usage?.tokenCount ?? 0 });
  }

  async #end(id: string, end: Partial<TuningRecord> & Pick<TuningRecord, "phase">): Promise<void> {
    await this.#deps.store.change(id, (current) => (tuningEnded(current) ? current : { ...current, ...end, endTimeMs: this.#deps.now() }));
  }
}
