import { hostname } from "node:os";
import { StatusError } from "@servable/errors";
import { readEnv, type Env } from "@servable/config";
import type { ResourceLimit } from "@servable/scheduling";
import { openDataDir, readOrCreateSecret } from "@servable/storage/files";
import type { TraceSettingValues } from "./domain/tracing/trace-settings.ts";
import { defaultMemoryBudgetBytes } from "./memory-limit.ts";

/** Settings of an inference replica. */
export interface InferenceConfig {
  /** "host:port" or "unix:/path". */
  readonly listen: string;
  /** Where gateways reach this replica; "" = where it listens. */
  readonly advertiseAddress: string;
  readonly replicaId: string;
  readonly registryAddress: string;
  readonly internalToken: string;
  /** Folder of model files by digest; the registry's own, or a cache. */
  readonly blobDir: string;
  /** Name in ServerMetadata; some stock scripts require "triton". */
  readonly serverName: string;
  readonly messageBytesMax: number;
  /** Threads of one run. */
  readonly intraOpThreads: number;
  /** onnxruntime's execution providers in the order of preference; models may name others. */
  readonly executionProviders: readonly string[];
  /** How much there is of the resources that instance groups name. */
  readonly rateLimits: readonly ResourceLimit[];
  /** How long one run may take before its engine is killed. */
  readonly runMsMax: number;
  /** How long requests in flight may go on when a version is unloaded. */
  readonly drainMs: number;
  /** Memory that one engine may allocate; undefined = not limited. */
  readonly engineMemoryBytesMax: number | undefined;
  /** How long a replica that stops serves on until others serve what it alone does. */
  readonly handOverMs: number;
  /** Memory that models may take together; 0 = not limited. */
  readonly memoryBudgetBytes: number;
  /** How long a call waits for memory when its model must be loaded. */
  readonly memoryWaitMs: number;
  /** What the trace settings are until somebody changes them. */
  readonly traceDefaults: TraceSettingValues;
}

/** Reads SERVABLE_… variables; makes the data directory. @throws StatusError `CONFIG_INVALID`, `DATA_DIR_NEWER`, `DATA_DIR_UNUSABLE` */
export function readConfig(env: Env): InferenceConfig {
  const read = readEnv(env);
  const dataDir = openDataDir(read.string("SERVABLE_DATA_DIR", ".servable"));
  const memoryBudgetBytes = read.bytes("SERVABLE_MEMORY_BUDGET", defaultMemoryBudgetBytes(read.int("SERVABLE_REPLICAS_PER_HOST", 1, { min: 1, max: 1_000 })));
  return {
    listen: read.string("SERVABLE_LISTEN", "127.0.0.1:8103"),
    // Containers that are scaled share one environment; their host names differ, and are names in their network.
    advertiseAddress: read.string("SERVABLE_ADVERTISE_ADDRESS", "").replaceAll("{hostname}", hostname()),
    replicaId: read.string("SERVABLE_REPLICA_ID", "local-0").replaceAll("{hostname}", hostname()),
    registryAddress: read.string("SERVABLE_REGISTRY_ADDRESS", "127.0.0.1:8101"),
    internalToken: read.optional("SERVABLE_INTERNAL_TOKEN") ?? readOrCreateSecret(dataDir.file("internal-token")),
    blobDir: read.string("SERVABLE_BLOB_DIR", dataDir.file("inference-cache")),
    serverName: read.string("SERVABLE_SERVER_NAME", "servable"),
    messageBytesMax: read.bytes("SERVABLE_MESSAGE_BYTES_MAX", 64 * 1024 ** 2),
    intraOpThreads: read.int("SERVABLE_INTRA_OP_THREADS", 1, { min: 1, max: 256 }),
    executionProviders: read.list("SERVABLE_EXECUTION_PROVIDERS", ["cpu"]),
    rateLimits: read.list("SERVABLE_RATE_LIMIT_RESOURCES", []).map(readRateLimit),
    runMsMax: read.durationMs("SERVABLE_RUN_TIMEOUT", 60_000),
    drainMs: read.durationMs("SERVABLE_DRAIN", 5_000),
    handOverMs: read.durationMs("SERVABLE_HAND_OVER", 10_000),
    // No model may take more than there is for all.
    engineMemoryBytesMax: read.bytes("SERVABLE_ENGINE_MEMORY_MAX", memoryBudgetBytes) || undefined,
    memoryBudgetBytes,
    memoryWaitMs: read.durationMs("SERVABLE_MEMORY_WAIT", 30_000),
    traceDefaults: traceDefaultsOf(env),
  };
}

/** Traces are on where something takes them: a file, a folder of spans or a collector. */
function traceDefaultsOf(env: Env): TraceSettingValues {
  const read = readEnv(env);
  const file = read.string("SERVABLE_TRACE_FILE", "");
  const isTaken = [file, ...["SERVABLE_TRACE_DIR", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"].map((name) => read.string(name, ""))].some((value) => value !== "");
  return { trace_file: file, trace_level: [isTaken ? "TIMESTAMPS" : "OFF"], trace_rate: "1", trace_count: "-1", log_frequency: "0", trace_mode: file === "" ? "opentelemetry" : "triton" };
}

/** Triton's form, "name:count" or "name:count:device". */
function readRateLimit(text: string): ResourceLimit {
  const [, name, count, device] = /^([^:]+):(\d+)(?::(\d+))?$/.exec(text) ?? [];
  if (name === undefined || count === undefined) {
    throw new StatusError("CONFIG_INVALID", `SERVABLE_RATE_LIMIT_RESOURCES has "${text}": write name:count or name:count:device, e.g. R1:4`, { metadata: { variable: "SERVABLE_RATE_LIMIT_RESOURCES" } });
  }
  return { name, count: Number(count), device: device === undefined ? undefined : Number(device) };
}
