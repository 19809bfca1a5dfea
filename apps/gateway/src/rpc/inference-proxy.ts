import { create, toBinary } from "@bufbuild/protobuf";
import { requireRole } from "@servable/auth";
import {
  GRPCInferenceService,
  ModelMetadataResponseSchema,
  ModelReadyResponseSchema,
  ModelStreamInferResponseSchema,
  RepositoryIndexRequestSchema,
  ServerLiveResponseSchema,
  ServerMetadataResponseSchema,
  ServerReadyResponseSchema,
} from "@servable/contracts/open-inference/grpc_service";
import { ModelRepositoryService } from "@servable/contracts/open-inference/model_repository";
import type { StatusError } from "@servable/errors";
import { implementRaw, type CallContext, type RawImplementation, type ServiceRegistration } from "@servable/grpc";
import { decodeMessage } from "../domain/decode-message.ts";
import { peekModel, peekRepositoryModel, type InferReference } from "../domain/model-reference.ts";
import type { ProtocolParts } from "../domain/protocol-parts.ts";
import { serverMetadata } from "../domain/server-metadata.ts";
import { streamInfer } from "../domain/stream-inference.ts";
import { bareResponses, endAtErrors } from "../domain/stream-dialect.ts";
import { callerOf } from "./caller-of.ts";

/** Metadata by which a streaming caller asks for real gRPC statuses; the name is Triton's. */
const STREAM_STATUS_KEY = "triton_grpc_error";
/** Metadata by which a streaming caller asks for MLServer's form of the answers: `bare`. */
const STREAM_FORM_KEY = "servable-stream-form";

type Implementation = RawImplementation<typeof GRPCInferenceService>;

/** The Open Inference Protocol over gRPC: answered by the replica that serves the model, as bytes. */
export function inferenceProxy(parts: ProtocolParts): ServiceRegistration {
  const { server, inference, deps, broadcast, questions, regions, settings } = parts;
  const ask = (method: string) => (request: Uint8Array, context: CallContext) => inference.ask(method, peekModel(request), request, callerOf(context));
  const askAny = (method: string) => (request: Uint8Array, context: CallContext) => inference.askAny(method, request, callerOf(context));
  const implementation: Implementation = {
    serverLive: async () => toBinary(ServerLiveResponseSchema, create(ServerLiveResponseSchema, { live: true })),
    serverReady: async () => toBinary(ServerReadyResponseSchema, create(ServerReadyResponseSchema, { ready: deps.router.ready })),
    serverMetadata: async (_, context) => toBinary(ServerMetadataResponseSchema, await serverMetadata(server, inference, callerOf(context))),
    modelReady: async (request, context) => {
      const caller = callerOf(context);
      const ready = deps.router.peek(caller.identity.project, peekModel(request)) !== undefined;
      // Only a replica knows whether its engine is well.
      return ready ? ask("ModelReady")(request, context) : toBinary(ModelReadyResponseSchema, create(ModelReadyResponseSchema, { ready }));
    },
    modelMetadata: async (request, context) => toBinary(ModelMetadataResponseSchema, await questions.metadata(peekModel(request), callerOf(context))),
    modelConfig: ask("ModelConfig"),
    modelStatistics: (request, context) => questions.statistics(peekModel(request), callerOf(context)),
    modelInfer: (request, context) => inference.infer(request, callerOf(context)),
    modelStreamInfer: (requests, context) => {
      const caller = callerOf(context);
      if (context.metadata.get(STREAM_FORM_KEY)[0] === "bare") return bareResponses(streamInfer(deps, requests, caller));
      if (context.metadata.get(STREAM_STATUS_KEY)[0] === "true") return endAtErrors(streamInfer(deps, requests, caller));
      return streamInfer(deps, requests, caller, streamError);
    },
    ...repositoryCalls(parts),
    systemSharedMemoryStatus: (request, context) => regions.status(request, callerOf(context)),
    systemSharedMemoryRegister: (request, context) => regions.register(request, callerOf(context)),
    systemSharedMemoryUnregister: (request, context) => regions.unregister(request, callerOf(context)),
    cudaSharedMemoryStatus: askAny("CudaSharedMemoryStatus"),
    cudaSharedMemoryRegister: askAny("CudaSharedMemoryRegister"),
    cudaSharedMemoryUnregister: async (request, context) => {
      await broadcast.ask("CudaSharedMemoryUnregister", request, callerOf(context));
      return new Uint8Array();
    },
    traceSetting: (request, context) => settings.trace(request, callerOf(context)),
    logSettings: (request, context) => settings.log(request, callerOf(context)),
  };
  return implementRaw(GRPCInferenceService, implementation);
}

/** MLServer's alias of the repository calls. */
export function modelRepositoryAlias(parts: Pick<ProtocolParts, "inference" | "questions">): ServiceRegistration {
  return implementRaw(ModelRepositoryService, repositoryCalls(parts));
}

function repositoryCalls({ inference, questions }: Pick<ProtocolParts, "inference" | "questions">): Pick<Implementation, "repositoryIndex" | "repositoryModelLoad" | "repositoryModelUnload"> {
  const change = (method: "RepositoryModelLoad" | "RepositoryModelUnload") => async (request: Uint8Array, context: CallContext) => {
    requireRole(context.identity, "developer");
    return inference.changeRepository(method, peekRepositoryModel(request), request, callerOf(context));
  };
  return {
    repositoryIndex: async (request, context) => questions.index(decodeMessage(RepositoryIndexRequestSchema, request).ready, callerOf(context)),
    repositoryModelLoad: change("RepositoryModelLoad"),
    repositoryModelUnload: change("RepositoryModelUnload"),
  };
}

function streamError(error: StatusError, { id, model, version }: InferReference): Uint8Array {
  const parameters = {
    triton_final_response: { parameterChoice: { case: "boolParam" as const, value: true } },
    error_reason: { parameterChoice: { case: "stringParam" as const, value: error.reason } },
  };
  const inferResponse = { id, modelName: model, modelVersion: version, parameters };
  return toBinary(ModelStreamInferResponseSchema, create(ModelStreamInferResponseSchema, { errorMessage: error.message, inferResponse }));
}
