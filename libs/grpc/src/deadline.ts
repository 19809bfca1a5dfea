import { StatusError } from "@servable/errors";

/** setTimeout takes no more; a longer deadline is left to the other side. */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** How a call ends whose time is over. */
export function deadlineExceeded(): StatusError {
  return new StatusError("DEADLINE_EXCEEDED", "the call took longer than its deadline allows");
}
