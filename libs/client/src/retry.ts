import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "@servable/errors";

// A service that restarts is back within a second or two. Whoever asks in between should not notice, and whoever asks a
// platform that is down should learn it soon; so the number of attempts is bounded and the waits double. Half of each
// wait is random: many clients that lost the same service must not come back in step.

/** How often and how patiently a call is repeated. */
export interface RetryPolicy {
  /** Attempts in all. @default 4 */
  readonly attemptsMax?: number | undefined;
  /** Longest wait before the second attempt; it doubles with each further one. @default 100 */
  readonly firstWaitMs?: number | undefined;
  /** No wait is longer. @default 2000 */
  readonly waitMsMax?: number | undefined;
  /** 0 ≤ x < 1. @default Math.random */
  readonly random?: (() => number) | undefined;
}

/**
 * Runs a call again while it ends with UNAVAILABLE. Only for calls that may safely arrive twice: reads, calls with a
 * request id, and writes whose second arrival is told apart by the caller.
 *
 * @throws what the last attempt threw
 */
export async function retrying<T>(call: (attempt: number) => Promise<T>, policy: RetryPolicy = {}, signal?: AbortSignal): Promise<T> {
  const { attemptsMax = 4 } = policy;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call(attempt);
    } catch (error) {
      if (attempt >= attemptsMax || !isUnavailable(error) || signal?.aborted === true) throw error;
      await pause(attempt, policy, signal);
    }
  }
}

/** Whether the service was not there, so that a repetition can help. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof StatusError && error.code === "UNAVAILABLE";
}

/** Waits before attempt `attempt + 1`. @throws StatusError `CANCELLED` */
export async function pause(attempt: number, policy: RetryPolicy = {}, signal?: AbortSignal): Promise<void> {
  const { firstWaitMs = 100, waitMsMax = 2_000, random = Math.random } = policy;
  const longest = Math.min(waitMsMax, firstWaitMs * 2 ** (attempt - 1));
  try {
    await sleep(longest / 2 + (random() * longest) / 2, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw StatusError.from(error);
  }
}
