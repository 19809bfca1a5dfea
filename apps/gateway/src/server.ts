import { randomBytes } from "node:crypto";
import { serviceIdentity, type Identity } from "@servable/auth";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { createChannel, createClient, startGrpcServer, type GrpcJsChannel, type HeaderGetter } from "@servable/grpc";
import { errorBody, startHttpServer, type HttpServer } from "@servable/http";
import { openDataDir, openDatabase, readOrCreateSecret } from "@servable/storage";
import { addMetricsSource, createLogger, setLogLevels, setTraceSampling, type Logger } from "@servable/telemetry";
import { DEFAULT_PROJECT, bootstrap } from "./bootstrap.ts";
import { allowsSharedMemory, type GatewayConfig } from "./config.ts";
import { createAuthenticator, secretOf } from "./domain/authenticator.ts";
import { createBroadcast } from "./domain/broadcast.ts";
import { createExplain } from "./domain/explain.ts";
import { createGenerate } from "./domain/generate.ts";
import { createInference, type InferenceDeps } from "./domain/inference.ts";
import { createLoadBalancer } from "./domain/load-balancing.ts";
import { createPredict } from "./domain/predict.ts";
import { createLanguageFiles } from "./domain/language-files.ts";
import { createConversation } from "./domain/openai-chat.ts";
import type { ProtocolParts } from "./domain/protocol-parts.ts";
import { createRepositoryQuestions } from "./domain/repository-questions.ts";
import { replicaMetrics } from "./domain/replica-metrics.ts";
import { createRestInfer } from "./domain/rest-infer.ts";
import { createRouter } from "./domain/router.ts";
import { createServiceSettings } from "./domain/service-settings.ts";
import { createSharedMemoryRegions, withRegisteredRegions, type RegisteredRegions } from "./domain/shared-memory-regions.ts";
import { createTaskCalls } from "./domain/task-calls.ts";
import { createTextGenerator } from "./domain/text-generator.ts";
import { createUsageRecorder } from "./domain/usage-recorder.ts";
import { createEvents, type GatewayEvents } from "./events.ts";
import { explainRoutes } from "./http/explain.ts";
import { generateRoutes } from "./http/generate.ts";
import { addAuthentication, verifierOf, type Verify } from "./http/http-caller.ts";
import { modelRepositoryRoutes } from "./http/model-repository.ts";
import { isOpenAiPath, openAiErrorBody, openAiRoutes } from "./http/openai.ts";
import { openAiChatRoutes } from "./http/openai-chat.ts";
import { openAiFineTuningRoutes } from "./http/openai-fine-tuning.ts";
import { openInferenceRoutes } from "./http/open-inference.ts";
import { predictRoutes } from "./http/predict.ts";
import { reportRoutes } from "./http/reports.ts";
import { resourceRoutes } from "./http/resources.ts";
import { settingsRoutes } from "./http/settings.ts";
import { sharedMemoryRoutes } from "./http/shared-memory.ts";
import { taskRoutes } from "./http/tasks.ts";
import { billingService } from "./rpc/billing-service.ts";
import { controlProxies } from "./rpc/control-proxies.ts";
import { explanationProxy } from "./rpc/explanation-proxy.ts";
import { iamService } from "./rpc/iam-service.ts";
import { inferenceProxy, modelRepositoryAlias } from "./rpc/inference-proxy.ts";
import { createReplicaChannels } from "./rpc/replica-channels.ts";
import { replicaService } from "./rpc/replica-service.ts";
import { tasksProxy } from "./rpc/tasks-proxy.ts";
import { createApiKeyStore } from "./store/api-key-store.ts";
import { createProjectStore } from "./store/project-store.ts";
import { GATEWAY_MIGRATIONS, GATEWAY_NAMESPACE, type GatewaySchema } from "./store/schema.ts";
import { createUsageStore } from "./store/usage-store.ts";

/** A running gateway; disposing drains it. */
export interface GatewayServer extends AsyncDisposable {
  /** "host:port". */
  readonly grpcAddress: string;
  /** "host:port". */
  readonly httpAddress: string;
  /** The first admin key, when it was made just now. */
  readonly bootstrapKey: string | undefined;
}

/** Paths and methods that probes call without a key. */
const OPEN_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"]);
const OPEN_METHODS: ReadonlySet<string> = new Set(["/inference.GRPCInferenceService/ServerLive", "/inference.GRPCInferenceService/ServerReady"]);
/** Calls that one connection may have open: a flood of calls must not take the place of everyone else's. */
const CALLS_PER_CONNECTION_MAX = 1_024;
/** Requests of the largest size that may be worked on at once over gRPC. */
const HELD_REQUESTS_MAX = 16;
/** Who calls when keys are switched off. */
const OPEN_IDENTITY: Identity = { project: DEFAULT_PROJECT, principal: "local", role: "admin" };

/**
 * Starts a gateway. It serves at once: calls that need the registry wait for it for a moment.
 *
 * @throws StatusError `PORT_IN_USE`, `DATA_DIR_UNUSABLE`, `DATA_DIR_NEWER`, `DATABASE_UNAVAILABLE`
 */
export async function startServer(config: GatewayConfig, { logger = createLogger("gateway") }: { logger?: Logger } = {}): Promise<GatewayServer> {
  await using stack = new AsyncDisposableStack();
  const now = Date.now;
  const dataDir = openDataDir(config.dataDir);
  const token = config.internalToken ?? readOrCreateSecret(dataDir.file("internal-token"));
  const database = stack.use(await openDatabase<GatewaySchema>({ url: config.databaseUrl ?? `sqlite:${dataDir.file("gateway.db")}`, namespace: GATEWAY_NAMESPACE, migrations: GATEWAY_MIGRATIONS }));
  const events = createEvents();
  const [projects, keys, usageStore] = [createProjectStore(database), createApiKeyStore(database), createUsageStore(database)];
  const bootstrapKey = config.auth === "none" ? (await projects.ensure({ id: DEFAULT_PROJECT, displayName: "Default project", createTimeMs: now() }), undefined) : await bootstrap(config.bootstrapApiKey, { projects, keys, dataDir, nowMs: now(), logger });
  if (config.auth === "none") logger.warn({ event: "auth_off", help: "SERVABLE_AUTH=none: whoever reaches the ports is an admin; never use it outside a trusted network" });

  const authenticator = createAuthenticator(keys, now);
  stack.defer(() => authenticator.settle());
  const usage = stack.use(
    createUsageRecorder({
      store: usageStore,
      now,
      uniqueId: uniqueTexts(),
      onLost: (count) => {
        events.usageLost(count);
        logger.error({ event: "usage_records_lost", count });
      },
      onWriteFailed: (err) => logger.warn({ event: "usage_write_failed", err }),
    }),
  );

  const open = (address: string): GrpcJsChannel => {
    const channel = createChannel(address, { token, receiveBytesMax: config.messageBytesMax });
    stack.defer(() => channel.close());
    return channel;
  };
  const [registry, training] = [open(config.registryAddress), open(config.trainingAddress)];
  const replicas = stack.use(createReplicaChannels({ transport: config.replicaChannel, token, receiveBytesMax: config.messageBytesMax }));
  const balancer = createLoadBalancer(Math.random, now);
  const deployments = createClient(DeploymentService, registry, { identity: serviceIdentity("gateway") });
  const router = stack.use(
    createRouter({
      watch: (signal) => deployments.watchRoutingTable({}, { signal }),
      random: Math.random,
      onTable: (addresses) => {
        events.tableReceived();
        replicas.retain(addresses, (address) => balancer.outstanding(address) > 0);
        settings.replicasChanged(addresses);
      },
      onDisconnect: (err) => logger.warn({ event: "registry_unreachable", err, help: "the last routing table stays in use" }),
    }),
  );
  const registeredRegions: RegisteredRegions = new Map();
  const sharedMemory = allowsSharedMemory(config);
  const deps: InferenceDeps = { router, balancer, replicas: withRegisteredRegions(replicas, registeredRegions), usage, modelControl: config.modelControl };
  stack.use(addMetricsSource(() => replicaMetrics(router, replicas)));
  const inference = createInference(deps);
  const taskCalls = createTaskCalls(deps, inference);
  const explain = createExplain(deps, inference);
  const broadcast = createBroadcast({ router, replicas });
  const settings = createServiceSettings(broadcast, { setTraceSampling, setLogLevels });
  const regions = createSharedMemoryRegions(broadcast, registeredRegions, sharedMemory);
  const protocol: ProtocolParts = { server: { name: config.serverName, sharedMemory }, inference, deps, broadcast, questions: createRepositoryQuestions(router, inference, broadcast), regions, settings };
  const verify = verifierOf(authenticator, config.auth === "none" ? OPEN_IDENTITY : undefined);

  const http = stack.use(
    await startHttp(config, logger, events, (app) => {
      addAuthentication(app, verify, OPEN_PATHS);
      openInferenceRoutes(app, { ...protocol, router, restInfer: createRestInfer(deps, inference) });
      modelRepositoryRoutes(app, protocol);
      sharedMemoryRoutes(app, protocol);
      settingsRoutes(app, protocol);
      generateRoutes(app, createGenerate(deps));
      predictRoutes(app, { router, predict: createPredict(deps, inference) });
      taskRoutes(app, taskCalls);
      openAiRoutes(app, taskCalls);
      openAiFineTuningRoutes(app, training);
      openAiChatRoutes(app, createConversation(taskCalls, createTextGenerator({ router, inference, files: createLanguageFiles(createClient(ModelRegistryService, registry), createClient(DeploymentService, registry)) })));
      explainRoutes(app, explain);
      reportRoutes(app, createClient(ModelRegistryService, registry));
      resourceRoutes(app, { router, registry: createClient(ModelRegistryService, registry), deployments });
    }),
  );
  const grpc = stack.use(
    await startGrpcServer({
      address: `${config.host}:${config.grpcPort}`,
      portVariable: "SERVABLE_GRPC_PORT",
      services: [inferenceProxy(protocol), tasksProxy(taskCalls), explanationProxy(explain), modelRepositoryAlias(protocol), replicaService(broadcast), iamService({ projects, keys, authenticator, now }), billingService(usageStore, usage)],
      proxies: controlProxies(registry, training),
      authenticate: grpcAuthentication(verify),
      receiveBytesMax: config.messageBytesMax,
      callsPerConnectionMax: CALLS_PER_CONNECTION_MAX,
      heldBytesMax: HELD_REQUESTS_MAX * config.messageBytesMax,
      onCallEnd: ({ method, code, durationMs }) => events.callEnded({ protocol: "grpc", route: method, outcome: code, durationMs }),
      logger,
    }),
  );
  const resources = stack.move();
  return { grpcAddress: grpc.address, httpAddress: http.address, bootstrapKey, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

function startHttp(config: GatewayConfig, logger: Logger, events: GatewayEvents, routes: Parameters<typeof startHttpServer>[0]["routes"]): Promise<HttpServer> {
  return startHttpServer({
    host: config.host,
    port: config.httpPort,
    portVariable: "SERVABLE_HTTP_PORT",
    bodyBytesMax: config.messageBytesMax,
    validation: config.httpValidation,
    routes,
    // Stock clients of the protocol read one text.
    errorBody: (error, request) => (request.url.startsWith("/v2") ? { error: error.reason === "ROUTE_UNKNOWN" ? "Not Found" : error.message } : isOpenAiPath(request) ? openAiErrorBody(error) : errorBody(error)),
    onRequestEnd: (request, reply) => events.callEnded({ protocol: "http", route: `${request.method} ${request.routeOptions.url ?? "unknown"}`, outcome: String(reply.statusCode), durationMs: reply.elapsedTime }),
    logger,
  });
}

/** Texts of 16 digits: random for this process, counted within it, since every call needs one. */
function uniqueTexts(): () => string {
  const prefix = randomBytes(5).toString("hex");
  let count = 0;
  return () => prefix + (count++ % 2 ** 24).toString(16).padStart(6, "0");
}

function grpcAuthentication(verify: Verify): (header: HeaderGetter, method: string) => Promise<Identity> | Identity | undefined {
  return (header, method) => (OPEN_METHODS.has(method) ? undefined : verify(secretOf(header)));
}
