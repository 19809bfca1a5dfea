// ModelInfer and ModelStreamInfer, on encoded messages: this is where every request passes, so nothing is decoded twice and
// tensors are never copied here.

import { create, toBinary } from "@bufbuild/protobuf";
import { requireRole, type Identity } from "@servable/auth";
import { ModelInferResponseSchema, ModelStreamInferResponseSchema, type GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { CallContext, RawImplementation } from "@servable/grpc";
import { decodeInferRequest, encodeInferResponse, encodeStreamInferResponse, type InferParameters, type WireInferRequest } from "@servable/open-inference";
import type { InferContext, InferRequest, InferResult } from "../domain/executors/executor.ts";
import { inferWithExplanation, withoutAttributionOutputs } from "../domain/explain/explain-infer.ts";
import { asksForExplanation } from "../domain/explain/explain-options.ts";
import type { Explainer } from "../domain/explain/explainer.ts";
import { checkInferRequest, type OutputWish } from "../domain/requests/infer-request.ts";
import { answerOf } from "../domain/requests/infer-response.ts";
import type { LoadedModel } from "../domain/repository/loaded-model.ts";
import type { ModelRepository } from "../domain/repository/model-repository.ts";
import type { RequestMemory, SharedMemory } from "../domain/requests/shared-memory.ts";
import { concurrently } from "./concurrently.ts";

/** What the handlers stand on. */
export interface InferHandlerDeps {
  readonly repository: ModelRepository;
  readonly sharedMemory: SharedMemory;
  readonly explainer: Explainer;
}

/** Requests of one stream that are answered at the same time; more wait in the connection. */
const STREAM_IN_FLIGHT_MAX = 128;
const FINAL: InferParameters = new Map([["triton_final_response", { kind: "bool", value: true }]]);
const NOT_FINAL: InferParameters = new Map([["triton_final_response", { kind: "bool", value: false }]]);

/** The handlers of the two inference calls. */
export function inferHandlers({ repository, sharedMemory, explainer }: InferHandlerDeps): Pick<RawImplementation<typeof GRPCInferenceService>, "modelInfer" | "modelStreamInfer"> {
  const resolve = (identity: Identity | undefined, wire: WireInferRequest): { model: LoadedModel; project: string } => {
    requireRole(identity, "user");
    const { modelName, modelVersion, parameters } = wire;
    if (modelName === "") throw new StatusError("FIELD_REQUIRED", "model_name must be specified", { metadata: { field: "model_name" } });
    const model = repository.resolve(identity.project, modelName, modelVersion);
    const sequenceId = sequenceIdOf(wire);
    const goesOn = sequenceId !== undefined && parameters.get("sequence_start")?.value !== true;
    return { model: goesOn ? repository.continuing(model, modelVersion, sequenceId) : model, project: identity.project };
  };

  const infer = (model: LoadedModel, request: InferRequest, context: InferContext): Promise<InferResult> =>
    asksForExplanation(request.parameters) ? inferWithExplanation(explainer, model, request, context) : model.infer(request, context);

  async function* answers(wire: WireInferRequest, context: CallContext): AsyncGenerator<Buffer> {
    const { model, project } = resolve(context.identity, wire);
    using memory = sharedMemory.forRequest(project);
    const { request, wishes, wantsEmptyFinalResponse } = checkInferRequest(wire, model.target, memory.read);
    holdRegions(memory, wishes);
    const options = { id: wire.id, wishes, writeSharedMemory: memory.write };
    if (!model.target.isDecoupled) {
      const result = await infer(model, request, inferContext(context, project));
      yield encodeStreamInferResponse(answerOf(model, result, { ...options, extraParameters: FINAL }));
      return;
    }
    for await (const result of model.inferStream(request, inferContext(context, project))) {
      // Whoever asked for an empty last answer waits for that one.
      const isFinal = result.isFinal === true && !wantsEmptyFinalResponse;
      yield encodeStreamInferResponse(answerOf(model, result, { ...options, extraParameters: isFinal ? FINAL : NOT_FINAL }));
    }
    if (wantsEmptyFinalResponse) {
      yield encodeStreamInferResponse({ modelName: model.spec.name, modelVersion: String(model.spec.version), id: wire.id, parameters: FINAL, outputs: [] });
    }
  }

  return {
    async modelInfer(bytes, context) {
      const wire = withoutAttributionOutputs(decodeInferRequest(bytes));
      const { model, project } = resolve(context.identity, wire);
      if (model.target.isDecoupled) throw new StatusError("UNIMPLEMENTED", "ModelInfer RPC doesn't support models with decoupled transaction policy: use ModelStreamInfer");
      using memory = sharedMemory.forRequest(project);
      const { request, wishes } = checkInferRequest(wire, model.target, memory.read);
      holdRegions(memory, wishes);
      const result = await infer(model, request, inferContext(context, project));
      return encodeInferResponse(answerOf(model, result, { id: wire.id, wishes, writeSharedMemory: memory.write }));
    },

    async *modelStreamInfer(requests, context) {
      // Requests of one sequence keep their order; all others are answered as they get ready.
      yield* concurrently(requests, STREAM_IN_FLIGHT_MAX, context.signal, (bytes) => {
        const wire = withoutAttributionOutputs(decodeInferRequest(bytes));
        return { lane: sequenceOf(wire), work: () => withErrors(answers(wire, context), wire) };
      });
    },
  };
}

/** An error belongs to its request; the stream goes on. */
async function* withErrors(answers: AsyncGenerator<Buffer>, { modelName, modelVersion, id }: WireInferRequest): AsyncGenerator<Uint8Array> {
  try {
    yield* answers;
  } catch (error) {
    const { message, reason } = StatusError.from(error);
    const parameters = { triton_final_response: { parameterChoice: { case: "boolParam" as const, value: true } }, error_reason: { parameterChoice: { case: "stringParam" as const, value: reason } } };
    const inferResponse = create(ModelInferResponseSchema, { modelName, modelVersion, id, parameters });
    yield toBinary(ModelStreamInferResponseSchema, create(ModelStreamInferResponseSchema, { errorMessage: message, inferResponse }));
  }
}

/** Places for outputs are looked at before anything is run for them. */
function holdRegions(memory: RequestMemory, wishes: readonly OutputWish[]): void {
  for (const { region } of wishes) if (region !== undefined) memory.hold(region);
}

function inferContext(call: CallContext, project: string): InferContext {
  return {
    // An AbortSignal costs more than all else here; nearly no request needs one.
    get signal() {
      return call.signal;
    },
    cancellation: call.cancellation,
    deadline: call.deadline,
    project,
    requestId: call.requestId,
  };
}

/** The lane of a request's sequence; undefined = in no order. */
function sequenceOf(wire: WireInferRequest): string | undefined {
  const id = sequenceIdOf(wire);
  return id === undefined ? undefined : `${wire.modelName}/${id}`;
}

function sequenceIdOf({ parameters }: WireInferRequest): string | undefined {
  const id = parameters.size === 0 ? undefined : parameters.get("sequence_id")?.value;
  return id === undefined || id === 0n || id === "" ? undefined : String(id);
}
