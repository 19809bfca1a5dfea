// Streams in forms other than Triton's usual one, as callers ask for them.

import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { ModelStreamInferResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import { isStreamError } from "./model-reference.ts";

/** Parameter of an error's response that holds its stable reason. */
const REASON_PARAMETER = "error_reason";
const RESPONSE_FIELD = 2;

/** Ends a stream with the first error that an encoded ModelStreamInferResponse carries. */
export async function* endAtErrors(answers: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const answer of answers) {
    if (isStreamError(answer)) throw errorOf(answer);
    yield answer;
  }
}

/**
 * MLServer streams bare ModelInferResponses where Triton wraps each in a ModelStreamInferResponse. Neither can be decoded as
 * the other, so a caller has to say which it wants. The bare form has no place for errors.
 */
export async function* bareResponses(answers: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const answer of endAtErrors(answers)) {
    const reader = new BinaryReader(answer);
    let response: Uint8Array = new Uint8Array();
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (wireType === WireType.LengthDelimited && field === RESPONSE_FIELD) response = reader.bytes();
      else reader.skip(wireType, field);
    }
    yield response;
  }
}

function errorOf(answer: Uint8Array): StatusError {
  const { errorMessage, inferResponse } = fromBinary(ModelStreamInferResponseSchema, answer);
  const { value } = inferResponse?.parameters[REASON_PARAMETER]?.parameterChoice ?? {};
  return new StatusError(typeof value === "string" && value in REASONS ? (value as Reason) : "INFERENCE_FAILED", errorMessage);
}
