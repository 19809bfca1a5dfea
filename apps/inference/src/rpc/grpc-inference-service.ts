import type { MessageInitShape } from "@bufbuild/protobuf";
import { requireRole, type Identity } from "@servable/auth";
import { GRPCInferenceService, type ModelMetadataResponse_TensorMetadataSchema, type ModelRepositoryParameter } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import { readLoadOverrides } from "../domain/repository/load-overrides.ts";
import type { Explainer } from "../domain/explain/explainer.ts";
import type { LoadedModel } from "../domain/repository/loaded-model.ts";
import type { TensorSpec } from "../domain/config/signature.ts";
import type { ModelRepository } from "../domain/repository/model-repository.ts";
import type { RepositoryControl } from "../domain/repository/repository-control.ts";
import { inferHandlers } from "./infer-handlers.ts";
import type { SharedMemory } from "../domain/requests/shared-memory.ts";
import type { TraceSettings } from "../domain/tracing/trace-settings.ts";
import { settingsHandlers } from "./settings-handlers.ts";
import { sharedMemoryHandlers } from "./shared-memory-handlers.ts";

/** Extensions of the protocol that are served; clients read this list. */
export const EXTENSIONS = ["model_repository", "model_repository(unload_dependents)", "model_configuration", "statistics", "binary_tensor_data", "parameters", "classification", "sequence", "sequence(string_id)", "schedule_policy", "system_shared_memory", "trace", "logging", "explanation"];

/** inference.GRPCInferenceService over the models of this replica. */
export function grpcInferenceService({ repository, control, sharedMemory, explainer, traces, serverName, serverVersion }: { repository: ModelRepository; control: RepositoryControl; sharedMemory: SharedMemory; explainer: Explainer; traces: TraceSettings; serverName: string; serverVersion: string }): ServiceRegistration {
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
        return { ready: resolve(identity, name, version).isServing };
      } catch (error) {
        if (error instanceof StatusError && error.reason === "MODEL_NOT_FOUND") return { ready: false };
        throw error;
      }
    },
    modelMetadata({ name, version }, { identity }) {
      const { spec, target } = resolve(identity, name, version);
      return { name: spec.name, versions: repository.of(spec.deployment).filter(({ isServing }) => isServing).map((each) => String(each.spec.version)), platform: spec.config.platform, inputs: target.signature.inputs.map(metadataOf), outputs: target.signature.outputs.map(metadataOf) };
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
      await control.load(identity, name, readLoadOverrides(name, Object.entries(request.parameters).map(([key, { parameterChoice }]) => [key, parameterChoice])), signal);
      return { modelName: name, isLoaded: true };
    },
    async repositoryModelUnload(request, { identity, signal }) {
      requireRole(identity, "developer");
      const name = request.modelName || request.repositoryName;
      await control.unload(identity, name, { dependents: wantsDependents(request.parameters) }, signal);
      return { modelName: name, isUnloaded: true };
    },
    ...sharedMemoryHandlers(sharedMemory),
    ...settingsHandlers({ repository, traces }),
  }, inferHandlers({ repository, sharedMemory, explainer }));
}

/** The one parameter of an unload. @throws StatusError `FIELD_INVALID` */
function wantsDependents(parameters: Readonly<Record<string, ModelRepositoryParameter>>): boolean {
  for (const [key, { parameterChoice }] of Object.entries(parameters)) {
    if (key !== "unload_dependents") throw new StatusError("FIELD_INVALID", `unrecognized parameter '${key}': an unload takes unload_dependents`, { metadata: { field: `parameters.${key}` } });
    if (parameterChoice.case !== "boolParam") throw new StatusError("FIELD_INVALID", "invalid value type for 'unload_dependents' parameter, expected bool_param.", { metadata: { field: `parameters.${key}` } });
    return parameterChoice.value;
  }
  return false;
}

function metadataOf({ name, datatype, shape }: TensorSpec): MessageInitShape<typeof ModelMetadataResponse_TensorMetadataSchema> {
  return { name, datatype, shape: shape.map(BigInt) };
}
