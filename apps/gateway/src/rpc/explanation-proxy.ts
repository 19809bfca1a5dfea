import { ExplanationService } from "@servable/contracts/inference/v1/explanation";
import { implementRaw, type ServiceRegistration } from "@servable/grpc";
import type { Explain } from "../domain/explain.ts";
import { callerOf } from "./caller-of.ts";

/** Explanations over gRPC: answered by a replica that serves the model, as bytes. */
export function explanationProxy(explain: Explain): ServiceRegistration {
  return implementRaw(ExplanationService, { explain: (request, context) => explain.pass(request, callerOf(context)) });
}
