import { serviceIdentity } from "@servable/auth";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { createChannel, createClient, internalAuthenticator, startGrpcServer } from "@servable/grpc";
import { createImageDecoder } from "@servable/images";
import { startEngineProcess } from "@servable/runtime";
import { openFileBlobStore } from "@servable/storage/files";
import { createLogger } from "@servable/telemetry";
import { createArtifactCache } from "./artifact-cache.ts";
import type { InferenceConfig } from "./config.ts";
import { executorFactory } from "./domain/create-executor.ts";
import { ModelRepository } from "./domain/model-repository.ts";
import { RegistryFollower } from "./domain/registry-follower.ts";
import { RepositoryControl } from "./domain/repository-control.ts";
import { createTasks } from "./domain/tasks/tasks.ts";
import { RequestTracer } from "./domain/request-tracer.ts";
import { SharedMemory } from "./domain/shared-memory.ts";
import { TraceSettings } from "./domain/trace-settings.ts";
import { observeModels, recordCall, recordEngineCrash, recordImageCrash, recordInference } from "./events.ts";
import { grpcInferenceService } from "./rpc/grpc-inference-service.ts";
import { replicaService } from "./rpc/replica-service.ts";
import { tasksService } from "./rpc/tasks-service.ts";
import { createTaskModels } from "./task-models.ts";

const VERSION = "0.1.0";
/** A version that failed for a passing reason is tried again after this. */
const RETRY_MS = 5_000;

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
  const repository = new ModelRepository({
    fetchModel: await createArtifactCache({ registry: models, blobs: await openFileBlobStore(config.blobDir), directory: config.blobDir, onEvent: (event, fields) => logger.info({ event, ...fields }) }),
    createExecutor: executorFactory({
      startEngine: startEngineProcess,
      session: { intraOpThreads: config.intraOpThreads, executionProviders: config.executionProviders, runMsMax: config.runMsMax },
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
  observeModels(() => repository.all());
  const control = new RepositoryControl(deployments, models, repository);
  const startTimeMs = Date.now();
  let isConnected = (): boolean => false;
  const server = await startGrpcServer({
    address: config.listen,
    services: [
      grpcInferenceService({ repository, control, sharedMemory, traces, serverName: config.serverName, serverVersion: VERSION }),
      tasksService(createTasks({ images, resolve: taskModels }), taskModels),
      replicaService({ repository, replicaId: config.replicaId, startTimeMs, registryConnected: () => isConnected() }),
    ],
    authenticate: internalAuthenticator(config.internalToken),
    receiveBytesMax: config.messageBytesMax,
    drainMs: config.drainMs,
    onCallEnd: recordCall,
    logger,
  });
  const follower = new RegistryFollower(deployments, repository, {
    replicaId: config.replicaId,
    address: config.advertiseAddress === "" ? server.address : config.advertiseAddress,
    onEvent: (event, fields) => logger.warn({ event, ...fields }),
  });
  isConnected = () => follower.connected;
  follower.start();
  return {
    address: server.address,
    [Symbol.asyncDispose]: async () => {
      await follower[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await images[Symbol.asyncDispose]();
      await repository.close();
      sharedMemory[Symbol.dispose]();
      channel.close();
    },
  };
}
