import { create, toBinary } from "@bufbuild/protobuf";
import { requireRole } from "@servable/auth";
import {
  GRPCInferenceService,
  ModelReadyResponseSchema,
  ModelStreamInferResponseSchema,
  ServerLiveResponseSchema,
  ServerMetadataResponseSchema,
  ServerReadyResponseSchema,
} from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { implementRaw, type CallContext, type RawImplementation, type ServiceRegistration } from "@servable/grpc";
import type { Inference, InferenceDeps } from "../domain/inference.ts";
import { peekModel, peekRepositoryModel, type InferReference } from "../domain/model-reference.ts";
import { serverMetadata } from "../domain/server-metadata.ts";
import { streamInfer } from "../domain/stream-inference.ts";
import { callerOf } from "./caller-of.ts";

/** Metadata by which a streaming caller asks for real gRPC statuses; the name is Triton's. */
const STREAM_STATUS_KEY = "triton_grpc_error";

/** The Open Inference Protocol over gRPC: answered by the replica that serves the model, as bytes. */
export function inferenceProxy(serverName: string, inference: Inference, deps: InferenceDeps): ServiceRegistration {
  const ask = (method: string) => (request: Uint8Array, context: CallContext) => inference.ask(method, peekModel(request), request, callerOf(context));
  const askAny = (method: string) => (request: Uint8Array, context: CallContext) => inference.askAny(method, request, callerOf(context));
  const change = (method: "RepositoryModelLoad" | "RepositoryModelUnload") => async (request: Uint8Array, context: CallContext) => {
    requireRole(context.identity, "developer");
    return inference.changeRepository(method, peekRepositoryModel(request), request, callerOf(context));
  };
  const implementation: RawImplementation<typeof GRPCInferenceService> = {
    serverLive: async () => toBinary(ServerLiveResponseSchema, create(ServerLiveResponseSchema, { live: true })),
    serverReady: async () => toBinary(ServerReadyResponseSchema, create(ServerReadyResponseSchema, { ready: deps.router.ready })),
    serverMetadata: async (_, context) => toBinary(ServerMetadataResponseSchema, await serverMetadata(serverName, inference, callerOf(context))),
    modelReady: async (request, context) => {
      const caller = callerOf(context);
      const ready = deps.router.peek(caller.identity.project, peekModel(request)) !== undefined;
      // Only a replica knows whether its engine is well.
      return ready ? ask("ModelReady")(request, context) : toBinary(ModelReadyResponseSchema, create(ModelReadyResponseSchema, { ready }));
    },
    modelMetadata: ask("ModelMetadata"),
    modelConfig: ask("ModelConfig"),
    modelStatistics: (request, context) => (peekModel(request).model === "" ? askAny : ask)("ModelStatistics")(request, context),
    modelInfer: (request, context) => inference.infer(request, callerOf(context)),
    modelStreamInfer: (requests, context) => streamInfer(deps, requests, callerOf(context), context.metadata.get(STREAM_STATUS_KEY)[0] === "true" ? undefined : streamError),
    repositoryIndex: askAny("RepositoryIndex"),
    repositoryModelLoad: change("RepositoryModelLoad"),
    repositoryModelUnload: change("RepositoryModelUnload"),
    systemSharedMemoryStatus: notServed,
    systemSharedMemoryRegister: notServed,
    systemSharedMemoryUnregister: notServed,
    cudaSharedMemoryStatus: notServed,
    cudaSharedMemoryRegister: notServed,
    cudaSharedMemoryUnregister: notServed,
    traceSetting: notServed,
    logSettings: notServed,
  };
  return implementRaw(GRPCInferenceService, implementation);
}

async function notServed(_request: Uint8Array, { method }: CallContext): Promise<never> {
  throw new StatusError("UNIMPLEMENTED", `${method.split("/").at(-1) ?? method} is not served: send tensors inside the messages; traces and logs are set by environment variables`);
}

function streamError(error: StatusError, { id, model, version }: InferReference): Uint8Array {
  const inferResponse = { id, modelName: model, modelVersion: version, parameters: { triton_final_response: { parameterChoice: { case: "boolParam" as const, value: true } } } };
  return toBinary(ModelStreamInferResponseSchema, create(ModelStreamInferResponseSchema, { errorMessage: error.message, inferResponse }));
}
