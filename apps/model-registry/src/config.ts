import { readEnv, type Env } from "@servable/config";
import { openDataDir, readOrCreateSecret } from "@servable/storage";

/** Settings of the model-registry. */
export interface RegistryConfig {
  /** "host:port" or "unix:/path". */
  readonly listen: string;
  readonly databaseUrl: string;
  /** Folder of the artifacts' bytes. */
  readonly blobDir: string;
  /** The installation's secret, without which no call is taken. */
  readonly internalToken: string;
  readonly artifactBytesMax: number;
  readonly validationTimeoutMs: number;
  readonly validationMemoryBytesMax: number;
  /** How long a replica counts as alive after a report. */
  readonly replicaLeaseMs: number;
}

/** Reads SERVABLE_… variables; makes the data directory. @throws StatusError `CONFIG_INVALID`, `DATA_DIR_NEWER`, `DATA_DIR_UNUSABLE` */
export function readConfig(env: Env): RegistryConfig {
  const read = readEnv(env);
  const dataDir = openDataDir(read.string("SERVABLE_DATA_DIR", ".servable"));
  return {
    listen: read.string("SERVABLE_LISTEN", "127.0.0.1:8101"),
    databaseUrl: read.string("SERVABLE_DATABASE_URL", `sqlite:${dataDir.file("registry.db")}`),
    blobDir: dataDir.file("blobs"),
    internalToken: read.optional("SERVABLE_INTERNAL_TOKEN") ?? readOrCreateSecret(dataDir.file("internal-token")),
    artifactBytesMax: read.bytes("SERVABLE_ARTIFACT_BYTES_MAX", 4 * 1024 ** 3),
    validationTimeoutMs: read.durationMs("SERVABLE_VALIDATION_TIMEOUT", 60_000),
    validationMemoryBytesMax: read.bytes("SERVABLE_VALIDATION_MEMORY_MAX", 16 * 1024 ** 3),
    replicaLeaseMs: read.durationMs("SERVABLE_REPLICA_LEASE", 10_000),
  };
}
