import { StatusError } from "@servable/errors";
import type { CallContext } from "@servable/grpc";
import type { Caller } from "../domain/caller.ts";

/** The caller of a gRPC call. @throws StatusError `API_KEY_MISSING` when nobody was verified */
export function callerOf({ identity, requestId, signal, deadline }: CallContext): Caller {
  if (identity === undefined) throw new StatusError("API_KEY_MISSING", "the call has no API key: send `authorization: Bearer <key>` or `x-api-key: <key>`");
  return { identity, requestId, signal, deadline };
}
