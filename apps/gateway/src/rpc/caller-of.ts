import { StatusError } from "@servable/errors";
import type { CallContext } from "@servable/grpc";
import type { Caller } from "../domain/caller.ts";

/** The caller of a gRPC call. @throws StatusError `API_KEY_MISSING` when nobody was verified */
export function callerOf(context: CallContext): Caller {
  const { identity, requestId, cancellation, deadline } = context;
  if (identity === undefined) throw new StatusError("API_KEY_MISSING", "the call has no API key: send `authorization: Bearer <key>` or `x-api-key: <key>`");
  return {
    identity,
    requestId,
    cancellation,
    deadline,
    get signal() {
      return context.signal;
    },
  };
}
