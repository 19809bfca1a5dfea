import { createChannel, internalAuthenticator, startGrpcServer } from "@servable/grpc";
import { ChangeSignal, openDatabase, openFileBlobStore } from "@servable/storage";
import { createLogger } from "@servable/telemetry";
import { registryBaseModels } from "./clients/registry-base-models.ts";
import { registryPublisher } from "./clients/registry-publisher.ts";
import type { TrainingConfig } from "./config.ts";
import { CheckpointVault } from "./domain/checkpoint-vault.ts";
import { DatasetCatalog } from "./domain/dataset-catalog.ts";
import { DatasetSplits } from "./domain/dataset-splits.ts";
import type { DatasetInspector } from "./domain/dataset-inspector.ts";
import { chargeShare } from "./domain/charge-share.ts";
import { jobEstimator } from "./domain/job-estimator.ts";
import type { JobExecutor } from "./domain/job-executor.ts";
import type { ServiceLimits } from "./domain/job-limits.ts";
import { writeJobDocuments } from "./domain/job-documents.ts";
import { JobLog } from "./domain/job-log.ts";
import { JobQueue } from "./domain/job-queue.ts";
import { JobRegistry } from "./domain/job-registry.ts";
import { JobRunner } from "./domain/job-runner.ts";
import { Studies } from "./domain/study/studies.ts";
import { StudyLog } from "./domain/study/study-log.ts";
import { jobObserver, recordCall, studyObserver, traced } from "./events.ts";
import { childProcessExecutor } from "./executor/child-process-executor.ts";
import { childProcessInspector, childProcessSplitter } from "./executor/child-process-inspector.ts";
import { fineTuningParts } from "./fine-tuning-parts.ts";
import { trainingService } from "./rpc/training-service.ts";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "./store/schema.ts";
import { createTrainingStore } from "./store/sql-training-store.ts";

/** A running training service; disposing drains it and queues its running jobs for the next start. */
export interface TrainingServer extends AsyncDisposable {
  readonly address: string;
}

/** Parts that tests replace. */
export interface TrainingOverrides {
  readonly now?: () => number;
  readonly execute?: JobExecutor;
  readonly inspect?: DatasetInspector;
}

/** Builds the service from its parts and starts it. @throws StatusError `PORT_IN_USE`, `DATABASE_UNAVAILABLE`, `DATA_DIR_NEWER` */
export async function startServer(config: TrainingConfig, overrides: TrainingOverrides = {}): Promise<TrainingServer> {
  const { workDir, attemptsMax, concurrency, publishRetryMs, checkpointIntervalMs, leaseMs, price } = config;
  const now = overrides.now ?? Date.now;
  const logger = createLogger("training");
  const observer = jobObserver(logger);
  // Closed in reverse: no call is taken any more, jobs stop and are stored, then the connections go.
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await openDatabase<TrainingSchema>({ url: config.databaseUrl, namespace: "training", migrations: TRAINING_MIGRATIONS }));
  const registry = stack.adopt(createChannel(config.registryAddress, { token: config.internalToken }), (channel) => channel.close());
  const store = createTrainingStore(database.sql);
  const changes = new ChangeSignal();
  const log = new JobLog({ store, changes, now });
  const blobs = await openFileBlobStore(config.blobDir);
  const reading = { timeoutMs: config.inspectionTimeoutMs, memoryBytesMax: config.inspectionMemoryBytesMax };
  const datasets = new DatasetCatalog({ store, blobs, inspect: overrides.inspect ?? childProcessInspector(reading), limits: config.datasetLimits, now });
  const splits = new DatasetSplits({ datasets, blobs, divide: childProcessSplitter(reading), now });
  const { cancelGraceMs, saveGraceMs, silenceMaxMs, workerEnv: env } = config;
  const execute = overrides.execute ?? childProcessExecutor({ cancelGraceMs, saveGraceMs, silenceMaxMs, env });
  const vault = new CheckpointVault({ store, log, blobs: await openFileBlobStore(config.checkpointDir), retentionMs: config.checkpointRetentionMs, now });
  const baseModels = registryBaseModels(registry);
  const limits: ServiceLimits = { memoryBytesMax: config.memoryBytesMax, runMsMax: config.runMsMax, price };
  const runner = new JobRunner({
    log, datasets, splits, vault, baseModels, execute, limits, traced, observer, workDir, attemptsMax, checkpointIntervalMs, publishRetryMs, now,
    publish: registryPublisher(registry),
    documents: (job, { evaluation, runRecord }, folder) => writeJobDocuments({ job, evaluation, runRecord, events: store.events, folder }),
    jobOf: (name) => store.jobs.get(name),
    charge: (project, runMs) => chargeShare(store, project, runMs, now()),
  });
  const shares = { projectRunningMax: config.projectRunningMax, weights: config.projectWeights };
  const queue = stack.use(new JobQueue({ store, log, runner, observer, workDir, owner: config.owner, leaseMs, concurrency, shares, attemptsMax, sweep: () => vault.sweep(), now }));
  const bounds = { queuedMax: config.queuedMax, projectQueuedMax: config.projectQueuedMax };
  const jobs = new JobRegistry({ store, log, queue, baseModels, observer, bounds, now });
  const estimate = jobEstimator({ datasets, splits, baseModels, execute, limits, workDir, now });
  const studyLog = new StudyLog({ store, changes, now });
  const studies = stack.use(new Studies({ store, log: studyLog, changes, jobs, observer: studyObserver(logger), now }));
  const fineTuning = await fineTuningParts({ sql: database.sql, store, log, datasets, splits, jobs, registry, observer, filesDir: config.filesDir, fileBytesMax: config.datasetLimits.datasetBytesMax, now });
  stack.use(fineTuning.follower);
  const server = stack.use(
    await startGrpcServer({
      address: config.listen,
      services: [trainingService({ datasets, splits, jobs, log, vault, estimate, price, study: { studies, log: studyLog } }), fineTuning.service],
      authenticate: internalAuthenticator(config.internalToken),
      onCallEnd: recordCall,
      logger,
    }),
  );
  // Only now: a start that fails because the port is taken must not have touched another service's jobs.
  await queue.start();
  await studies.start();
  await fineTuning.follower.start();
  const owned = stack.move();
  return { address: server.address, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
