// Fine-tuning stands on the whole service: its parts are put together here, so that server.ts stays readable.

import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { Channel, ServiceRegistration } from "@servable/grpc";
import { PART } from "@servable/preprocessing";
import { openFileBlobStore } from "@servable/storage";
import type { Kysely } from "kysely";
import { registryDeployer, registryTuningBases } from "./clients/registry-tuned-models.ts";
import type { DatasetCatalog } from "./domain/dataset-catalog.ts";
import type { DatasetSplits } from "./domain/dataset-splits.ts";
import { FineTuningJobs } from "./domain/fine-tuning/fine-tuning-jobs.ts";
import { StoredFiles } from "./domain/fine-tuning/stored-files.ts";
import { TuningFollower, type TuningFollowerDeps } from "./domain/fine-tuning/tuning-follower.ts";
import type { JobLog } from "./domain/job-log.ts";
import type { JobRegistry } from "./domain/job-registry.ts";
import type { JobObserver } from "./domain/job-runner.ts";
import type { TrainingStore } from "./domain/training-store.ts";
import { fineTuningService } from "./rpc/fine-tuning-service.ts";
import { sqlFineTuning } from "./store/fine-tuning-store.ts";
import type { TrainingSchema } from "./store/schema.ts";

/** The stored split of a data set that has a validation file in it. */
const SPLIT = "validation-file";

/** What fine-tuning stands on. */
export interface FineTuningDeps {
  readonly sql: Kysely<TrainingSchema>;
  readonly store: TrainingStore;
  readonly log: JobLog;
  readonly datasets: DatasetCatalog;
  readonly splits: DatasetSplits;
  readonly jobs: JobRegistry;
  readonly registry: Channel;
  readonly observer: JobObserver;
  readonly filesDir: string;
  readonly fileBytesMax: number;
  readonly now: () => number;
}

/** Fine-tuning: its service, and the follower that must be started after the queue and stopped before it. */
export async function fineTuningParts({ sql, store, log, datasets, splits, jobs, registry, observer, filesDir, fileBytesMax, now }: FineTuningDeps): Promise<{ readonly service: ServiceRegistration; readonly follower: TuningFollower }> {
  const tuningStore = sqlFineTuning(sql);
  const files = new StoredFiles({ store: tuningStore.files, blobs: await openFileBlobStore(filesDir), bytesMax: fileBytesMax, now });
  const follower = new TuningFollower({
    store: tuningStore.jobs,
    files,
    makeDataset: datasetMaker(datasets, splits),
    createJob: (draft, creator) => jobs.create(draft, creator, undefined),
    getJob: (name) => jobs.get(name),
    watch: (name, afterOffset, signal) => log.watch(name, afterOffset, signal),
    events: store.events,
    deploy: registryDeployer(registry),
    unexpected: (event, job, error) => observer.unexpected(event, job, error),
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
    now,
  });
  const tunings = new FineTuningJobs({ store: tuningStore.jobs, files, bases: registryTuningBases(registry), jobs, events: store.events, follow: (job) => follower.follow(job), now });
  return { service: fineTuningService({ files, tunings }), follower };
}

function datasetMaker(datasets: DatasetCatalog, splits: DatasetSplits): TuningFollowerDeps["makeDataset"] {
  return async ({ project, id, chunks, trainingRowCount, validationRowCount }, signal) => {
    const parent = `projects/${project}`;
    const head = { parent, datasetId: id, format: "chat" as const, description: "Conversations of a fine-tuning job.", columns: [], missingValues: [], header: [], skipBadRows: false, imageShape: [], newVersion: false };
    const file = async function* () {
      yield await Promise.resolve({ role: "data", sha256: "", chunks });
    };
    const dataset = await unlessThere(datasets.upload(head, file(), signal), () => datasets.get(`${parent}/datasets/${id}`));
    if (validationRowCount === 0) return { dataset, split: "" };
    const assignment = new Uint8Array(trainingRowCount + validationRowCount).fill(PART.training).fill(PART.validation, trainingRowCount);
    await unlessThere(splits.assign(dataset, SPLIT, assignment), () => undefined);
    return { dataset, split: SPLIT };
  };
}

/** What a repeated step made the first time is as good. */
async function unlessThere<T, U>(made: Promise<T>, known: () => Promise<U> | U): Promise<T | U> {
  return made.catch((error: unknown) => {
    if (StatusError.from(error).reason !== "ALREADY_EXISTS") throw error;
    return known();
  });
}
