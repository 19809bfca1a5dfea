// Explanations on their way to a replica: routed like inference, recorded under a name of their own, one unit an example.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ExplainRequestSchema, ExplainResponseSchema } from "@servable/contracts/inference/v1/explanation";
import { StatusError } from "@servable/errors";
import type { Caller } from "./caller.ts";
import { explainResponseJson, parseExplainRequest } from "./explain-json.ts";
import type { Inference, InferenceDeps } from "./inference.ts";
import { headersOf } from "./instances.ts";
import { peekModel } from "./model-reference.ts";

/** Calls of ExplanationService. */
export interface Explain {
  /** An encoded ExplainRequest for an encoded ExplainResponse. */
  pass(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** The same in JSON. @throws StatusError */
  json(body: Uint8Array, caller: Caller): Promise<string>;
}

/** Explanations over the replicas. */
export function createExplain({ router, usage }: Pick<InferenceDeps, "router" | "usage">, inference: Pick<Inference, "ask">): Explain {
  const pass: Explain["pass"] = (request, caller) => {
    const reference = peekModel(request);
    return usage.measure("Explain", reference, caller, async (meter) => {
      meter.addBytes(request.length);
      const response = await inference.ask("Explain", reference, request, caller);
      meter.addBytes(response.length);
      return response;
    });
  };
  return {
    pass,
    async json(body, caller) {
      const parsed = parseExplainRequest(body);
      const { reference } = parsed;
      const { model, version, signature } = await router.find(caller.identity.project, reference, caller.signal);
      if (signature === undefined) throw new StatusError("MODEL_NOT_READY", `the signature of ${model} is not known yet: call again shortly`);
      const message = parsed.request(reference.version === "" ? "" : version, headersOf(signature.inputs));
      return explainResponseJson(fromBinary(ExplainResponseSchema, await pass(toBinary(ExplainRequestSchema, message), caller)));
    },
  };
}
