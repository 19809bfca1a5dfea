import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelInferResponseSchema, ModelMetadataRequestSchema, ModelMetadataResponseSchema, type ModelMetadataResponse } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { Caller } from "./caller.ts";
import { parseInferRequest, rawInferRequest } from "./infer-json.ts";
import { writeInferResponse, type InferBody } from "./infer-response-json.ts";
import type { Inference, InferenceDeps } from "./inference.ts";
import type { ModelReference } from "./model-reference.ts";

const DECOUPLED_OVER_GRPC = "ModelInfer RPC doesn't support models with decoupled transaction policy";

/** Triton's clients over HTTP look for these words where those over gRPC look for "ModelInfer RPC". */
function inWordsOfHttp(error: unknown): never {
  if (!(error instanceof StatusError) || error.code !== "UNIMPLEMENTED" || !error.message.startsWith(DECOUPLED_OVER_GRPC)) throw error;
  throw new StatusError(error.reason, `HTTP end point doesn't support models with decoupled transaction policy: use ModelStreamInfer over gRPC, or generate_stream`, { cause: error });
}

/** Answers the REST twin of ModelInfer. `jsonLength` are the bytes of the JSON part; absent = the whole body. */
export type RestInfer = (reference: ModelReference, body: Uint8Array, jsonLength: number | undefined, caller: Caller) => Promise<InferBody>;

/** REST inference over the models that inference reaches; recorded as ModelInfer, malformed bodies too. */
export function createRestInfer({ router, usage }: Pick<InferenceDeps, "router" | "usage">, inference: Pick<Inference, "inferUnmeasured" | "ask">): RestInfer {
  /** What the replica says of the inputs: a model's configuration may fix what its graph leaves open. */
  const inputsOf = async ({ model, version }: ModelReference, caller: Caller): Promise<ModelMetadataResponse["inputs"]> => {
    const question = toBinary(ModelMetadataRequestSchema, create(ModelMetadataRequestSchema, { name: model, version }));
    return fromBinary(ModelMetadataResponseSchema, await inference.ask("ModelMetadata", { model, version }, question, caller)).inputs;
  };
  return (reference, body, jsonLength, caller) =>
    usage.measure("ModelInfer", reference, caller, async (meter) => {
      meter.addBytes(body.length);
      // An unknown model is the first thing to say, before anything is said of its tensors.
      await router.find(caller.identity.project, reference, caller.signal);
      const { request, wantsBinary } = jsonLength === 0 ? rawInferRequest(body, reference, await inputsOf(reference, caller)) : parseInferRequest(body, jsonLength, reference);
      const response = await inference.inferUnmeasured(toBinary(ModelInferRequestSchema, request), caller).catch(inWordsOfHttp);
      const answer = writeInferResponse(fromBinary(ModelInferResponseSchema, response), wantsBinary);
      meter.addBytes(answer.body.length);
      return answer;
    });
}
