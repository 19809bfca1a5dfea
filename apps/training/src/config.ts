import { readEnv, type Env } from "@servable/config";
import { openDataDir, readOrCreateSecret } from "@servable/storage";
import type { DatasetLimits } from "./domain/dataset-inspector.ts";

/** Settings of the training service. */
export interface TrainingConfig {
  /** "host:port" or "unix:/path". */
  readonly listen: string;
  readonly databaseUrl: string;
  /** Folder of the data sets' bytes. */
  readonly blobDir: string;
  /** Folder of running jobs' files; emptied at start. */
  readonly workDir: string;
  /** The installation's secret, without which no call is taken. */
  readonly internalToken: string;
  readonly registryAddress: string;
  readonly datasetLimits: DatasetLimits;
  /** How long reading an uploaded data set may take. */
  readonly inspectionTimeoutMs: number;
  /** Resident memory that reading an uploaded data set may take. */
  readonly inspectionMemoryBytesMax?: number | undefined;
  /** Jobs that run at once. */
  readonly concurrency: number;
  /** Jobs that may wait. */
  readonly queuedMax: number;
  /** Lost processes after which a job fails. */
  readonly attemptsMax: number;
  /** How long a process may take to stop by itself. */
  readonly cancelGraceMs: number;
  /** How long the registry may be unavailable before a trained job fails. */
  readonly publishRetryMs: number;
  /** Environment out of which the trainers' own is made. */
  readonly workerEnv: Env;
}

/** Reads SERVABLE_… variables; makes the data directory. @throws StatusError `CONFIG_INVALID`, `DATA_DIR_NEWER`, `DATA_DIR_UNUSABLE` */
export function readConfig(env: Env): TrainingConfig {
  const read = readEnv(env);
  const dataDir = openDataDir(read.string("SERVABLE_DATA_DIR", ".servable"));
  return {
    listen: read.string("SERVABLE_LISTEN", "127.0.0.1:8102"),
    databaseUrl: read.string("SERVABLE_DATABASE_URL", `sqlite:${dataDir.file("training.db")}`),
    // Not the registry's folder: each of the two removes what it no longer needs.
    blobDir: dataDir.file("datasets"),
    workDir: dataDir.file("training-work"),
    internalToken: read.optional("SERVABLE_INTERNAL_TOKEN") ?? readOrCreateSecret(dataDir.file("internal-token")),
    registryAddress: read.string("SERVABLE_REGISTRY_ADDRESS", "127.0.0.1:8101"),
    datasetLimits: {
      datasetBytesMax: read.bytes("SERVABLE_DATASET_BYTES_MAX", 1024 ** 3),
      rowsMax: read.int("SERVABLE_DATASET_ROWS_MAX", 5_000_000, { min: 1 }),
      columnsMax: read.int("SERVABLE_DATASET_COLUMNS_MAX", 1_000, { min: 1 }),
    },
    inspectionTimeoutMs: read.durationMs("SERVABLE_DATASET_INSPECTION_TIMEOUT", 300_000),
    inspectionMemoryBytesMax: read.bytes("SERVABLE_DATASET_INSPECTION_MEMORY", 4 * 1024 ** 3),
    concurrency: read.int("SERVABLE_TRAINING_CONCURRENCY", 1, { min: 1, max: 64 }),
    queuedMax: read.int("SERVABLE_TRAINING_QUEUE_MAX", 100, { min: 1 }),
    attemptsMax: read.int("SERVABLE_TRAINING_ATTEMPTS_MAX", 3, { min: 1, max: 100 }),
    cancelGraceMs: read.durationMs("SERVABLE_TRAINING_CANCEL_GRACE", 5_000),
    publishRetryMs: read.durationMs("SERVABLE_TRAINING_PUBLISH_RETRY", 300_000),
    workerEnv: env,
  };
}
