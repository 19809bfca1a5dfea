import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelStreamInferResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { Caller } from "./caller.ts";
import { generateResponseJson, parseGenerateRequest } from "./generate-json.ts";
import type { InferenceDeps } from "./inference.ts";
import { headersOf } from "./instances.ts";
import type { ModelReference } from "./model-reference.ts";
import { endAtErrors } from "./stream-dialect.ts";
import { streamInfer } from "./stream-inference.ts";

/** The generate extension. */
export interface Generate {
  /** The JSON of the one answer. @throws StatusError where the model gives none, or several */
  once(reference: ModelReference, body: Uint8Array, caller: Caller): Promise<string>;
  /** The JSON of each answer as it comes. @throws StatusError */
  stream(reference: ModelReference, body: Uint8Array, caller: Caller): AsyncGenerator<string>;
}

/** Generation over the models that the router knows; recorded as a stream with its answers. */
export function createGenerate(deps: InferenceDeps): Generate {
  async function* stream(reference: ModelReference, body: Uint8Array, caller: Caller): AsyncGenerator<string> {
    const { signature } = await deps.router.find(caller.identity.project, reference, caller.signal);
    const request = toBinary(ModelInferRequestSchema, parseGenerateRequest(body, reference, headersOf(signature?.inputs ?? [])));
    async function* requests(): AsyncGenerator<Uint8Array> {
      yield request;
    }
    for await (const answer of endAtErrors(streamInfer(deps, requests(), caller))) {
      const { inferResponse } = fromBinary(ModelStreamInferResponseSchema, answer);
      // An empty answer only says that the one before was the last.
      if (inferResponse !== undefined && inferResponse.outputs.length > 0) yield generateResponseJson(inferResponse);
    }
  }
  return {
    stream,
    async once(reference, body, caller) {
      let only: string | undefined;
      for await (const answer of stream(reference, body, caller)) {
        if (only !== undefined) throw notOne();
        only = answer;
      }
      if (only === undefined) throw notOne();
      return only;
    },
  };
}

function notOne(): StatusError {
  return new StatusError("INFERENCE_FAILED", "generate expects model to produce exactly 1 response, use generate stream for model that generates various number of responses");
}
