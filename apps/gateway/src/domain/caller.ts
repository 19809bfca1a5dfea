import type { Identity } from "@servable/auth";

/** Whoever waits for an answer, over whichever wire. */
export interface Caller {
  readonly identity: Identity;
  /** Appears in log, trace, usage record and error. */
  readonly requestId: string;
  /** Aborts when the caller goes away or its deadline passes. */
  readonly signal: AbortSignal;
  readonly deadline: Date | undefined;
}
