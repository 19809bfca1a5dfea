import { readEnv, type Env } from "@servable/config";
import { MESSAGE_BYTES_MAX } from "@servable/grpc";

/** Settings of a gateway. */
export interface GatewayConfig {
  /** Folder of the embedded database, the installation's token and the admin key. */
  readonly dataDir: string;
  /** `postgres://…`; absent = SQLite in the data directory. */
  readonly databaseUrl?: string | undefined;
  /** Interface of all three ports. */
  readonly host: string;
  /** 0 = any. */
  readonly grpcPort: number;
  /** 0 = any. */
  readonly httpPort: number;
  /** Served by `main.ts`, since metrics belong to the process. */
  readonly metricsPort: number;
  /** `none` takes every caller for an admin of the default project. */
  readonly auth: "keys" | "none";
  /** The first admin key; absent = made once and kept in the data directory. */
  readonly bootstrapApiKey?: string | undefined;
  /** What the Open Inference Protocol reports as the server's name. */
  readonly serverName: string;
  readonly registryAddress: string;
  readonly trainingAddress: string;
  /** The installation's secret; absent = the file in the data directory. */
  readonly internalToken?: string | undefined;
  /** What carries calls to inference replicas. */
  readonly replicaChannel: "carried" | "lean" | "grpc-js";
  /** Largest request over gRPC and HTTP, and largest answer of a replica. */
  readonly messageBytesMax: number;
  /** How strictly HTTP requests are read: `insecure` takes those that state two lengths. */
  readonly httpValidation: "strict" | "insecure";
  /** Whether callers may name shared memory of this machine; `auto` = only where the gateway listens on loopback alone. */
  readonly clientSharedMemory: "auto" | "true" | "false";
  /** Whether callers may load and unload models over the Open Inference Protocol. */
  readonly modelControl: "explicit" | "none";
}

/** Reads the settings. @throws StatusError `CONFIG_INVALID` naming the variable */
export function gatewayConfigFromEnv(env: Env): GatewayConfig {
  const read = readEnv(env);
  return Object.freeze({
    dataDir: read.string("SERVABLE_DATA_DIR", ".servable"),
    databaseUrl: read.optional("SERVABLE_DATABASE_URL"),
    host: read.string("SERVABLE_HOST", "127.0.0.1"),
    grpcPort: read.port("SERVABLE_GRPC_PORT", 8001),
    httpPort: read.port("SERVABLE_HTTP_PORT", 8000),
    metricsPort: read.port("SERVABLE_METRICS_PORT", 8002),
    auth: read.oneOf("SERVABLE_AUTH", ["keys", "none"], "keys"),
    bootstrapApiKey: read.optional("SERVABLE_BOOTSTRAP_API_KEY"),
    serverName: read.string("SERVABLE_SERVER_NAME", "servable"),
    registryAddress: read.string("SERVABLE_REGISTRY_ADDRESS", "127.0.0.1:8101"),
    trainingAddress: read.string("SERVABLE_TRAINING_ADDRESS", "127.0.0.1:8102"),
    internalToken: read.optional("SERVABLE_INTERNAL_TOKEN"),
    replicaChannel: read.oneOf("SERVABLE_REPLICA_CHANNEL", ["carried", "lean", "grpc-js"], "carried"),
    messageBytesMax: read.bytes("SERVABLE_MESSAGE_BYTES_MAX", MESSAGE_BYTES_MAX),
    httpValidation: read.oneOf("SERVABLE_HTTP_VALIDATION", ["strict", "insecure"], "strict"),
    clientSharedMemory: read.oneOf("SERVABLE_CLIENT_SHARED_MEMORY", ["auto", "true", "false"], "auto"),
    modelControl: read.oneOf("SERVABLE_MODEL_CONTROL", ["explicit", "none"], "explicit"),
  });
}

/** Whether shared memory of callers is served. Only whoever shares the machine can share memory. */
export function allowsSharedMemory({ clientSharedMemory, host }: Pick<GatewayConfig, "clientSharedMemory" | "host">): boolean {
  if (clientSharedMemory !== "auto") return clientSharedMemory === "true";
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
