import { StatusError } from "@servable/errors";

/** The bytes of the messages that a server holds at this moment: requests that come in and answers that have not left. */
export interface MessageMemory {
  /** Counts a piece of a request. @throws StatusError `QUEUE_FULL` (UNAVAILABLE) when no more fits */
  take(bytes: number): void;
  /** Counts an answer; what it cost has been spent already, so it is not refused. */
  add(bytes: number): void;
  /** They have gone. */
  give(bytes: number): void;
}

/** Takes requests up to `heldBytesMax` in all. A single one always fits: its own size has a bound elsewhere. */
export function createMessageMemory(heldBytesMax: number): MessageMemory {
  let heldBytes = 0;
  return {
    take(bytes) {
      const before = heldBytes;
      if (before > 0 && before + bytes > heldBytesMax) {
        throw new StatusError("QUEUE_FULL", `requests in flight hold ${before} bytes, at most ${heldBytesMax} are kept: call again shortly`, { code: "UNAVAILABLE" });
      }
      heldBytes += bytes;
    },
    add(bytes) {
      heldBytes += bytes;
    },
    give(bytes) {
      heldBytes -= bytes;
    },
  };
}
