import { createChannel, internalAuthenticator, startGrpcServer } from "@servable/grpc";
import { ChangeSignal, openDatabase, openFileBlobStore } from "@servable/storage";
import { createLogger } from "@servable/telemetry";
import { registryPublisher } from "./clients/registry-publisher.ts";
import type { TrainingConfig } from "./config.ts";
import { DatasetCatalog } from "./domain/dataset-catalog.ts";
import { DatasetSplits } from "./domain/dataset-splits.ts";
import type { DatasetInspector } from "./domain/dataset-inspector.ts";
import type { JobExecutor } from "./domain/job-executor.ts";
import { JobLog } from "./domain/job-log.ts";
import { JobQueue } from "./domain/job-queue.ts";
import { JobRunner } from "./domain/job-runner.ts";
import { jobObserver, recordCall, traced } from "./events.ts";
import { childProcessExecutor } from "./executor/child-process-executor.ts";
import { childProcessInspector, childProcessSplitter } from "./executor/child-process-inspector.ts";
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
  const { workDir, attemptsMax, queuedMax, concurrency, publishRetryMs } = config;
  const now = overrides.now ?? Date.now;
  const logger = createLogger("training");
  const observer = jobObserver(logger);
  // Closed in reverse: no call is taken any more, jobs stop and are stored, then the connections go.
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await openDatabase<TrainingSchema>({ url: config.databaseUrl, namespace: "training", migrations: TRAINING_MIGRATIONS }));
  const registry = stack.adopt(createChannel(config.registryAddress, { token: config.internalToken }), (channel) => channel.close());
  const store = createTrainingStore(database.sql);
  const log = new JobLog({ store, changes: new ChangeSignal(), now });
  const blobs = await openFileBlobStore(config.blobDir);
  const reading = { timeoutMs: config.inspectionTimeoutMs, memoryBytesMax: config.inspectionMemoryBytesMax };
  const datasets = new DatasetCatalog({ store, blobs, inspect: overrides.inspect ?? childProcessInspector(reading), limits: config.datasetLimits, now });
  const splits = new DatasetSplits({ datasets, blobs, divide: childProcessSplitter(reading), now });
  const execute = overrides.execute ?? childProcessExecutor({ cancelGraceMs: config.cancelGraceMs, env: config.workerEnv });
  const runner = new JobRunner({ log, datasets, splits, execute, publish: registryPublisher(registry), traced, observer, workDir, attemptsMax, publishRetryMs, now });
  const jobs = stack.use(new JobQueue({ store, log, runner, observer, workDir, queuedMax, concurrency, attemptsMax, now }));
  const server = stack.use(
    await startGrpcServer({
      address: config.listen,
      services: [trainingService({ datasets, splits, jobs, log })],
      authenticate: internalAuthenticator(config.internalToken),
      onCallEnd: recordCall,
      logger,
    }),
  );
  // Only now: a start that fails because the port is taken must not have touched another service's jobs.
  await jobs.start();
  const owned = stack.move();
  return { address: server.address, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
