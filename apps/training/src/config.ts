import { hostname, totalmem } from "node:os";
import { readEnv, type Env } from "@servable/config";
import { openDataDir, readOrCreateSecret } from "@servable/storage";
import { StatusError } from "@servable/errors";
import type { DatasetLimits } from "./domain/dataset-inspector.ts";
import type { Price } from "./domain/run-record.ts";

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
  /** How long it may take to stop with a checkpoint. */
  readonly saveGraceMs: number;
  /** A process that says nothing for so long is lost. */
  readonly silenceMaxMs: number;
  /** This service among those of one database. */
  readonly owner: string;
  /** How long a job stays a silent service's. */
  readonly leaseMs: number;
  /** Folder of the checkpoints' bytes. */
  readonly checkpointDir: string;
  /** Folder of files for fine-tuning, and of its results. */
  readonly filesDir: string;
  /** Time between two checkpoints of jobs that say none. */
  readonly checkpointIntervalMs: number;
  /** How long the checkpoints of an ended job are kept. */
  readonly checkpointRetentionMs: number;
  /** Memory of one job at most. */
  readonly memoryBytesMax: number;
  /** Running time of one job at most. */
  readonly runMsMax: number;
  /** Running and waiting jobs of one project at most. */
  readonly projectRunningMax: number;
  readonly projectQueuedMax: number;
  /** Weights of projects in the fair share; 1 where none is said. */
  readonly projectWeights: Readonly<Record<string, number>>;
  /** What a job's time costs. */
  readonly price: Price;
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
    filesDir: dataDir.file("files"),
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
    saveGraceMs: read.durationMs("SERVABLE_TRAINING_CHECKPOINT_GRACE", 20_000),
    silenceMaxMs: read.durationMs("SERVABLE_TRAINING_SILENCE_MAX", 600_000),
    owner: read.string("SERVABLE_TRAINING_OWNER", `${hostname()}:${dataDir.file("training-work")}`),
    leaseMs: read.durationMs("SERVABLE_TRAINING_LEASE", 30_000),
    checkpointDir: read.string("SERVABLE_TRAINING_CHECKPOINT_DIR", dataDir.file("checkpoints")),
    checkpointIntervalMs: read.durationMs("SERVABLE_TRAINING_CHECKPOINT_INTERVAL", 60_000),
    checkpointRetentionMs: read.durationMs("SERVABLE_TRAINING_CHECKPOINT_RETENTION", 7 * 24 * 3_600_000),
    memoryBytesMax: read.bytes("SERVABLE_TRAINING_MEMORY_MAX", Math.floor(0.8 * machineBytes())),
    runMsMax: read.durationMs("SERVABLE_TRAINING_TIME_MAX", 7 * 24 * 3_600_000),
    projectRunningMax: read.int("SERVABLE_TRAINING_PROJECT_RUNNING_MAX", 64, { min: 1 }),
    projectQueuedMax: read.int("SERVABLE_TRAINING_PROJECT_QUEUED_MAX", 100, { min: 1 }),
    projectWeights: weightsOf(read.list("SERVABLE_TRAINING_PROJECT_WEIGHTS", [])),
    price: { perHour: priceOf(read.string("SERVABLE_TRAINING_PRICE_PER_HOUR", "0")), currency: read.string("SERVABLE_TRAINING_CURRENCY", "EUR") },
    publishRetryMs: read.durationMs("SERVABLE_TRAINING_PUBLISH_RETRY", 300_000),
    workerEnv: env,
  };
}

/** "a=2,b=0.5" → numbers by project. */
function weightsOf(entries: readonly string[]): Record<string, number> {
  return Object.fromEntries(
    entries.map((entry) => {
      const [project = "", weight = ""] = entry.split("=");
      if (project === "" || !(Number(weight) > 0)) throw new StatusError("CONFIG_INVALID", `SERVABLE_TRAINING_PROJECT_WEIGHTS holds "${entry}": write project=weight with a weight above 0, e.g. "research=2"`);
      return [project, Number(weight)];
    }),
  );
}

function priceOf(text: string): number {
  const price = Number(text);
  if (!(price >= 0) || text === "") throw new StatusError("CONFIG_INVALID", `SERVABLE_TRAINING_PRICE_PER_HOUR="${text}" is no price: write a number, e.g. "0.12"`);
  return price;
}

/** Memory of the machine, or of the container that this process may not leave. */
function machineBytes(): number {
  const constrained = process.constrainedMemory();
  // Without a bound Linux tells a number beyond any machine's, other systems 0.
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
