import type { MessageInitShape } from "@bufbuild/protobuf";
import { requireRole, type Identity } from "@servable/auth";
import { GRPCInferenceService, type ModelMetadataResponse_TensorMetadataSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { LoadedModel } from "../domain/loaded-model.ts";
import { PLATFORM, type TensorSpec } from "../domain/model-config.ts";
import type { ModelRepository } from "../domain/model-repository.ts";
import type { RepositoryControl } from "../domain/repository-control.ts";
import { inferHandlers } from "./infer-handlers.ts";
import type { SharedMemory } from "../domain/shared-memory.ts";
import type { TraceSettings } from "../domain/trace-settings.ts";
import { settingsHandlers } from "./settings-handlers.ts";
import { sharedMemoryHandlers } from "./shared-memory-handlers.ts";

/** Extensions of the protocol that are served; clients read this list. */
export const EXTENSIONS = ["model_repository", "model_repository(unload_dependents)", "model_configuration", "statistics", "binary_tensor_data", "parameters", "classification", "schedule_policy", "system_shared_memory", "trace", "logging"];

/** inference.GRPCInferenceService over the models of this replica. */
export function grpcInferenceService({ repository, control, sharedMemory, traces, serverName, serverVersion }: { repository: ModelRepository; control: RepositoryControl; sharedMemory: SharedMemory; traces: TraceSettings; serverName: string; serverVersion: string }): ServiceRegistration {
  const resolve = (identity: Identity | undefined, name: string, version: string): LoadedModel => {
    requireRole(identity, "user");
    if (name === "") throw new StatusError("FIELD_REQUIRED", "model_name must be specified", { metadata: { field: "model_name" } });
    return repository.resolve(identity.project, name, version);
  };
  return implement(GRPCInferenceService, {
    serverLive: () => ({ live: true }),
    serverReady: () => ({ ready: true }),
    serverMetadata: () => ({ name: serverName, version: serverVersion, extensions: EXTENSIONS }),
    modelReady({ name, version }, { identity }) {
      try {
        return { ready: resolve(identity, name, version).state === "READY" };
      } catch (error) {
        if (error instanceof StatusError && error.reason === "MODEL_NOT_FOUND") return { ready: false };
        throw error;
      }
    },
    modelMetadata({ name, version }, { identity }) {
      const { spec } = resolve(identity, name, version);
      return { name: spec.name, versions: repository.of(spec.deployment).map((each) => String(each.spec.version)), platform: PLATFORM, inputs: spec.signature.inputs.map(metadataOf), outputs: spec.signature.outputs.map(metadataOf) };
    },
    modelConfig: ({ name, version }, { identity }) => ({ config: resolve(identity, name, version).spec.config }),
    modelStatistics({ name, version }, { identity }) {
      requireRole(identity, "user");
      const models = name === "" ? repository.all().filter(({ spec }) => spec.deployment.startsWith(`projects/${identity.project}/`)) : version === "" ? repository.of(resolve(identity, name, version).spec.deployment) : [resolve(identity, name, version)];
      return { modelStats: models.map(({ spec, stats }) => stats.message(spec.name, String(spec.version))) };
    },
    async repositoryIndex({ ready }, { identity, signal }) {
      requireRole(identity, "user");
      return { models: await control.index(identity, ready, signal) };
    },
    async repositoryModelLoad(request, { identity, signal }) {
      requireRole(identity, "developer");
      // KServe's dialect writes the model's name into field 1.
      const name = request.modelName || request.repositoryName;
      await control.load(identity, name, loadConfig(name, request.parameters), signal);
      return { modelName: name, isLoaded: true };
    },
    async repositoryModelUnload(request, { identity, signal }) {
      requireRole(identity, "developer");
      const name = request.modelName || request.repositoryName;
      await control.unload(identity, name, signal);
      return { modelName: name, isUnloaded: true };
    },
    ...sharedMemoryHandlers(sharedMemory),
    ...settingsHandlers({ repository, traces }),
  }, inferHandlers({ repository, sharedMemory }));
}

/** The `config` parameter of a load; file overrides are named as what they are. */
function loadConfig(model: string, parameters: Readonly<Record<string, { parameterChoice: { case?: string | undefined; value?: unknown } }>>): string | undefined {
  for (const key of Object.keys(parameters)) {
    if (!key.startsWith("file:")) continue;
    if (key.slice("file:".length).split("/").some((part) => part.length > 255)) {
      throw new StatusError("INTERNAL", `failed to load '${model}', failed to poll from model repository: a path part of '${key.slice(0, 40)}…' is longer than 255 characters`);
    }
    throw new StatusError("UNIMPLEMENTED", `failed to load '${model}': file overrides are not served; upload a new version to the registry instead`);
  }
  const choice = parameters["config"]?.parameterChoice;
  if (choice === undefined) return undefined;
  if (choice.case === "stringParam" && isJsonObject(String(choice.value))) return String(choice.value);
  throw new StatusError("FIELD_INVALID", `failed to load '${model}', the parameter config must be ModelConfig as JSON text`, { metadata: { field: "parameters.config" } });
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function metadataOf({ name, datatype, shape }: TensorSpec): MessageInitShape<typeof ModelMetadataResponse_TensorMetadataSchema> {
  return { name, datatype, shape: shape.map(BigInt) };
}
