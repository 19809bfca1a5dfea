import { createChannel, type Channel } from "@servable/grpc";
import { createLogger } from "@servable/telemetry";
import { tempDir } from "@servable/testing";
import { startServer, type GatewayConfig, type GatewayServer } from "../src/index.ts";
import { MODELS, TOKEN, startFakeRegistry, startFakeReplica, type FakeRegistry, type FakeReplica } from "./fakes.ts";

/** The first admin key of every test gateway. */
export const ADMIN_KEY = "admin-key-of-the-tests";

/** A gateway with a fake registry and a fake replica behind it. */
export interface TestGateway extends AsyncDisposable {
  readonly server: GatewayServer;
  readonly registry: FakeRegistry;
  readonly replica: FakeReplica;
  /** To the gateway's gRPC port, without a key. */
  readonly channel: Channel;
  readonly dataDir: string;
  /** HTTP with the admin key; `headers` win. */
  http(path: string, init?: RequestInit): Promise<Response>;
}

export async function startTestGateway(overrides: Partial<GatewayConfig> = {}): Promise<TestGateway> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(tempDir());
  const registry = stack.use(await startFakeRegistry());
  const deployed = new Map<string, string[]>();
  const publish = (): void => registry.publish(Object.fromEntries(deployed));
  const replica = stack.use(
    await startFakeReplica((verb, model) => {
      if (verb === "load") deployed.set(model, [replica.address]);
      else deployed.delete(model);
      publish();
    }),
  );
  for (const model of Object.keys(MODELS)) deployed.set(model, [replica.address]);
  publish();
  const server = stack.use(await startServer(testConfig(directory.path, registry.address, overrides), { logger: createLogger("gateway", "silent") }));
  const channel = createChannel(server.grpcAddress);
  stack.defer(() => channel.close());
  const all = stack.move();
  return {
    server,
    registry,
    replica,
    channel,
    dataDir: directory.path,
    http: (path, init = {}) => fetch(`http://${server.httpAddress}${path}`, { ...init, headers: { "x-api-key": ADMIN_KEY, ...init.headers } }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export function testConfig(dataDir: string, registryAddress: string, overrides: Partial<GatewayConfig> = {}): GatewayConfig {
  return {
    dataDir,
    host: "127.0.0.1",
    grpcPort: 0,
    httpPort: 0,
    metricsPort: 0,
    auth: "keys",
    bootstrapApiKey: ADMIN_KEY,
    serverName: "triton",
    registryAddress,
    trainingAddress: "127.0.0.1:1",
    internalToken: TOKEN,
    replicaChannel: "lean",
    messageBytesMax: 1024 * 1024,
    httpValidation: "strict",
    clientSharedMemory: "auto",
    modelControl: "explicit",
    ...overrides,
  };
}

/** Metadata with a key. */
export const withKey = (key: string = ADMIN_KEY) => ({ metadata: { authorization: `Bearer ${key}` } });
