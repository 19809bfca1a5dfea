import { serviceIdentity } from "@servable/auth";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { createChannel, createClient, internalAuthenticator, startGrpcServer } from "@servable/grpc";
import { createImageDecoder } from "@servable/images";
import { startEngineProcess } from "@servable/runtime";
import { createRateLimiter } from "@servable/scheduling";
import { openFileBlobStore } from "@servable/storage/files";
import { createLogger } from "@servable/telemetry";
import { createArtifactCache } from "./artifact-cache.ts";
import type { InferenceConfig } from "./config.ts";
import { executorFactory } from "./domain/executors/create-executor.ts";
import { createExplainer } from "./domain/explain/explainer.ts";
import { GradientEngines } from "./domain/explain/gradient-engines.ts";
import { MemoryBudget } from "./domain/repository/memory-budget.ts";
import { ModelRepository } from "./domain/repository/model-repository.ts";
import { RegistryFollower } from "./domain/repository/registry-follower.ts";
import { RepositoryControl } from "./domain/repository/repository-control.ts";
import { createTasks } from "./domain/tasks/tasks.ts";
import { RequestTracer } from "./domain/tracing/request-tracer.ts";
import { Residency } from "./domain/repository/residency.ts";
import { SharedMemory } from "./domain/requests/shared-memory.ts";
import { TraceSettings } from "./domain/tracing/trace-settings.ts";
import { observeMemory, observeModels, recordCall, recordEngineCrash, recordImageCrash, recordInference } from "./events.ts";
import { privateBytesOf } from "./process-memory.ts";
import { explanationService } from "./rpc/explanation-service.ts";
import { grpcInferenceService } from "./rpc/grpc-inference-service.ts";
import { replicaService } from "./rpc/replica-service.ts";
import { tasksService } from "./rpc/tasks-service.ts";
import { createTaskModels } from "./task-models.ts";

const VERSION = "0.1.0";
/** A version that failed for a passing reason is tried again after this. */
const RETRY_MS = 5_000;
/** Models in memory are measured this often, some at a time. */
const MEASURE_EVERY_MS = 5_000;

/** A running inference replica; disposing gives the lease back and drains. */
export interface InferenceServer extends AsyncDisposable {
  readonly address: string;
}

/** Builds the service from its parts and starts it; models come as the registry assigns them. @throws StatusError `PORT_IN_USE` */
export async function startServer(config: InferenceConfig): Promise<InferenceServer> {
  const logger = createLogger("inference");
  const channel = createChannel(config.registryAddress, { token: config.internalToken });
  const identity = serviceIdentity("inference");
  const deployments = createClient(DeploymentService, channel, { identity });
  const models = createClient(ModelRegistryService, channel, { identity });

  const traces = new TraceSettings(config.traceDefaults);
  const tracer = new RequestTracer(traces, (err) => logger.error({ event: "trace_file_unwritable", err }));
  const budget = new MemoryBudget({
    budgetBytes: config.memoryBudgetBytes,
    waitMsMax: config.memoryWaitMs,
    now: Date.now,
    onEviction: (model, bytes) => logger.info({ event: "model_evicted", model, bytes }),
  });
  const residency = new Residency({ budget, measureBytes: privateBytesOf });
  const rateLimiter = createRateLimiter(config.rateLimits);
  const repository = new ModelRepository({
    fetchModel: await createArtifactCache({ registry: models, blobs: await openFileBlobStore(config.blobDir), directory: config.blobDir, onEvent: (event, fields) => logger.info({ event, ...fields }) }),
    residency,
    createExecutor: executorFactory({
      startEngine: startEngineProcess,
      rateLimiter,
      tasks: () => ({ images, resolve: taskModels }),
      session: { intraOpThreads: config.intraOpThreads, executionProviders: config.executionProviders, runMsMax: config.runMsMax, memoryBytesMax: config.engineMemoryBytesMax },
      onProviderMissing: (spec, message) => logger.warn({ event: "execution_provider_missing", model: spec.name, version: spec.version, why: message }),
      onCrash: (spec, { message, restartCount, final }) => {
        recordEngineCrash(spec.name);
        logger.error({ event: "engine_crashed", model: spec.name, version: spec.version, how: message, restart_count: restartCount, final });
      },
    }),
    observe: (model, observation) => recordInference(model, observation, tracer.observe(model, observation)),
    drainMs: config.drainMs,
    retryMs: RETRY_MS,
  });
  const sharedMemory = new SharedMemory();
  const images = createImageDecoder({
    onCrash: (how) => {
      recordImageCrash();
      logger.warn({ event: "image_decoder_ended", how });
    },
  });
  const taskModels = createTaskModels(repository);
  const gradients = new GradientEngines({ startEngine: startEngineProcess, intraOpThreads: config.intraOpThreads, runMsMax: config.runMsMax, memoryBytesMax: config.engineMemoryBytesMax });
  const explainer = createExplainer(gradients);
  observeModels(() => repository.all());
  observeMemory(budget, () => repository.all());
  const control = new RepositoryControl(deployments, models, repository);
  const startTimeMs = Date.now();
  let isConnected = (): boolean => false;
  let isDraining = (): boolean => false;
  const server = await startGrpcServer({
    address: config.listen,
    services: [
      tasksService(createTasks({ images, resolve: taskModels }), taskModels),
      replicaService({ repository, residency, rateLimiter, replicaId: config.replicaId, startTimeMs, registryConnected: () => isConnected(), draining: () => isDraining() }),
      grpcInferenceService({ repository, control, sharedMemory, explainer, traces, serverName: config.serverName, serverVersion: VERSION }),
      explanationService({ repository, explainer, images, taskModels }),
    ],
    authenticate: internalAuthenticator(config.internalToken),
    receiveBytesMax: config.messageBytesMax,
    carriesCalls: true,
    drainMs: config.drainMs,
    onCallEnd: recordCall,
    logger,
  });
  const follower = new RegistryFollower(deployments, repository, {
    replicaId: config.replicaId,
    address: config.advertiseAddress === "" ? server.address : config.advertiseAddress,
    memoryBudgetBytes: config.memoryBudgetBytes,
    handOverMs: config.handOverMs,
    onEvent: (event, fields) => logger.warn({ event, ...fields }),
  });
  isConnected = () => follower.connected;
  isDraining = () => follower.draining;
  follower.start();
  const measuring = setInterval(() => void residency.measureSome().catch((err: unknown) => logger.warn({ event: "measuring_failed", err })), MEASURE_EVERY_MS);
  return {
    address: server.address,
    [Symbol.asyncDispose]: async () => {
      clearInterval(measuring);
      await follower[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await images[Symbol.asyncDispose]();
      await gradients[Symbol.asyncDispose]();
      await repository.close();
      sharedMemory[Symbol.dispose]();
      channel.close();
    },
  };
}
