import type { Identity } from "@servable/auth";
import type { Cancellation } from "@servable/grpc";

/** Whoever waits for an answer, over whichever wire. */
export interface Caller {
  readonly identity: Identity;
  /** Appears in log, trace, usage record and error. */
  readonly requestId: string;
  /** Aborts when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
  /** The same as `signal` where that is only made when asked for: the hot path listens here. */
  readonly cancellation?: Cancellation | undefined;
  readonly deadline: Date | undefined;
}

/** The same caller with another signal. */
export function withSignal({ identity, requestId, deadline }: Caller, signal: AbortSignal): Caller {
  return { identity, requestId, deadline, signal };
}
