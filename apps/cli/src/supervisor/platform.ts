import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openDataDir } from "@servable/storage";
import { lockInstance } from "./instance-lock.ts";
import { openSocketDir } from "./socket-dir.ts";
import type { ServiceEvent, ServiceSpec } from "./supervised-service.ts";
import { startSupervisor } from "./supervisor.ts";

/** How a platform is to run. */
export interface PlatformOptions {
  /** All state. */
  readonly dataDir: string;
  /** Interface of the gateway's ports. @default "127.0.0.1" */
  readonly host?: string | undefined;
  /** 0 = any free one; a restart of the gateway keeps it. @default 8001 */
  readonly grpcPort?: number | undefined;
  /** @default 8000 */
  readonly httpPort?: number | undefined;
  /** @default 8002 */
  readonly metricsPort?: number | undefined;
  /** Inference processes. @default 1 */
  readonly replicas?: number | undefined;
  /** Writes every span to `<dataDir>/traces`. @default false */
  readonly trace?: boolean | undefined;
  /** Passes all log lines to `onLine`. @default false */
  readonly verbose?: boolean | undefined;
  /** What the services get besides; the settings above win. @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  readonly onEvent?: ((event: ServiceEvent) => void) | undefined;
  readonly onLine?: ((service: string, line: string) => void) | undefined;
}

/** A platform that serves; disposing drains it. */
export interface Platform extends AsyncDisposable {
  readonly grpcAddress: string;
  readonly httpAddress: string;
  readonly metricsAddress: string;
  readonly dataDir: string;
  readonly traceDir: string | undefined;
  /** The admin key for the local command line; undefined where an operator chose it or keys are off. */
  readonly adminKey: string | undefined;
  /** Whether this start made the key, so that it must be shown. */
  readonly adminKeyIsNew: boolean;
  /** Process ids by service, for those that run now. */
  pids(): Record<string, number>;
}

/**
 * Starts the four services as processes of their own and keeps them running.
 *
 * @throws StatusError `DATA_DIR_IN_USE`, `DATA_DIR_NEWER`, `DATA_DIR_UNUSABLE`, `PORT_IN_USE` naming the variable, `CONFIG_INVALID`
 * @example await using platform = await startPlatform({ dataDir, grpcPort: 0, httpPort: 0, metricsPort: 0 });
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { host = "127.0.0.1", grpcPort = 8001, httpPort = 8000, metricsPort = 8002, replicas = 1, trace = false } = options;
  await using stack = new AsyncDisposableStack();
  const dataDir = openDataDir(options.dataDir);
  const lock = stack.use(lockInstance(dataDir.path));
  const sockets = stack.use(openSocketDir());
  const keyFile = dataDir.file("admin-key");
  const hadKey = existsSync(keyFile);
  const traceDir = trace ? dataDir.file("traces") : undefined;

  const shared: NodeJS.ProcessEnv = {
    // A service whose sources are cached compiled needs no compiler in memory: 18 MiB less each, and half the start's CPU.
    NODE_COMPILE_CACHE: fileURLToPath(new URL("../../../../node_modules/.cache/node-compile", import.meta.url)),
    ...(options.env ?? process.env),
    SERVABLE_DATA_DIR: dataDir.path,
    SERVABLE_REGISTRY_ADDRESS: sockets.address("model-registry"),
    SERVABLE_TRAINING_ADDRESS: sockets.address("training"),
    ...(traceDir === undefined ? {} : { SERVABLE_TRACE_DIR: traceDir }),
  };
  // Ports and listeners belong to one service each: what an operator set for the gateway must not reach the others.
  for (const name of ["SERVABLE_LISTEN", "SERVABLE_METRICS_PORT", "SERVABLE_REPLICA_ID", "SERVABLE_ADVERTISE_ADDRESS", "NODE_CHANNEL_FD", "NODE_TEST_CONTEXT"]) delete shared[name];
  const internal = (name: string, app: string, more: NodeJS.ProcessEnv = {}): ServiceSpec => ({ name, entry: entryOf(app), env: () => ({ ...shared, SERVABLE_LISTEN: sockets.address(name), ...more }) });
  const gatewayEnv = { ...shared, SERVABLE_HOST: host, SERVABLE_GRPC_PORT: String(grpcPort), SERVABLE_HTTP_PORT: String(httpPort), SERVABLE_METRICS_PORT: String(metricsPort) };

  const supervisor = stack.use(
    await startSupervisor({
      groups: [
        [internal("model-registry", "model-registry")],
        [internal("training", "training"), ...Array.from({ length: replicas }, (_, index) => internal(`inference-${index}`, "inference", { SERVABLE_REPLICA_ID: `local-${index}`, SERVABLE_REPLICAS_PER_HOST: String(replicas) }))],
        [{ name: "gateway", entry: entryOf("gateway"), env: () => gatewayEnv }],
      ],
      logDir: dataDir.file("logs"),
      onEvent: options.onEvent,
      onLine: options.onLine,
      verbose: options.verbose,
    }),
  );

  const said = supervisor.ready.get("gateway");
  const text = (key: string, otherwise: string): string => (typeof said?.[key] === "string" ? said[key] : otherwise);
  const addresses = { grpcAddress: text("grpcAddress", `${host}:${grpcPort}`), httpAddress: text("httpAddress", `${host}:${httpPort}`), metricsAddress: text("metricsAddress", `${host}:${metricsPort}`) };
  // A gateway that comes back must be found where it was.
  gatewayEnv.SERVABLE_GRPC_PORT = portOf(addresses.grpcAddress);
  gatewayEnv.SERVABLE_HTTP_PORT = portOf(addresses.httpAddress);
  gatewayEnv.SERVABLE_METRICS_PORT = portOf(addresses.metricsAddress);
  lock.announce({ pid: process.pid, ...addresses });

  const adminKey = existsSync(keyFile) ? readFileSync(keyFile, "utf8").trim() : undefined;
  const running = stack.move();
  return {
    ...addresses,
    dataDir: dataDir.path,
    traceDir,
    adminKey,
    adminKeyIsNew: adminKey !== undefined && !hadKey && shared["SERVABLE_BOOTSTRAP_API_KEY"] === undefined,
    pids: () => supervisor.pids(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The main module of a service: a path, not an import, since apps know each other only through contracts. */
function entryOf(app: string): string {
  return fileURLToPath(new URL(`../../../${app}/src/main.ts`, import.meta.url));
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":") + 1);
}
