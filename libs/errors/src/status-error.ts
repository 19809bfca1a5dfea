import { REASONS, type Reason, type StatusCode } from "./reasons.ts";

/** Optional parts of a {@link StatusError}. */
export interface StatusErrorOptions {
  /** Facts by name that a program may act on, e.g. `{ model: "mnist" }`; they cross the wire, so no secrets. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** What went wrong below; it is logged and never crosses the wire. */
  readonly cause?: unknown;
  /** The status when it differs from the table's, e.g. where a protocol fixes another one. */
  readonly code?: StatusCode;
}

/** Longest message kept. Messages name what the caller sent, and callers send names of megabytes. */
const MESSAGE_CHARACTERS_MAX = 4_000;

/**
 * The one error that crosses a boundary: a stable reason, the status that follows from it and a message that says what
 * to do next.
 *
 * @example throw new StatusError("MODEL_NOT_FOUND", `there is no model ${id}: list them with \`servable models list\``, { metadata: { model: id } });
 */
export class StatusError extends Error {
  override readonly name = "StatusError";
  readonly reason: Reason;
  readonly code: StatusCode;
  readonly metadata: Readonly<Record<string, string>>;

  constructor(reason: Reason, message: string, options: StatusErrorOptions = {}) {
    super(shortened(message, MESSAGE_CHARACTERS_MAX), options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.code = options.code ?? REASONS[reason].code;
    this.metadata = options.metadata ?? {};
  }

  /** Whether the same call may succeed later without a change. */
  get retryable(): boolean {
    return REASONS[this.reason].retry;
  }

  /**
   * Any thrown thing as a StatusError: a StatusError stays itself, an abort becomes CANCELLED, a timeout
   * DEADLINE_EXCEEDED, a full disk DISK_FULL; everything else is INTERNAL with a message that reveals nothing and the
   * original as `cause`.
   */
  static from(error: unknown): StatusError {
    if (error instanceof StatusError) return error;
    if (error instanceof Error) {
      if (error.name === "AbortError") return new StatusError("CANCELLED", "the call was cancelled", { cause: error });
      if (error.name === "TimeoutError") {
        return new StatusError("DEADLINE_EXCEEDED", "the call took longer than its deadline allows", { cause: error });
      }
      const errno = (error as NodeJS.ErrnoException).code;
      if (errno === "ENOSPC" || errno === "EDQUOT") {
        return new StatusError("DISK_FULL", "the disk is full: free space in the data directory, then try again", { cause: error });
      }
    }
    return new StatusError("INTERNAL", "internal error: report it with the request id; details are in the service's log", {
      cause: error,
    });
  }
}

/** The beginning and the end of a text that is too long: what is wrong stands at the one, what to do at the other. */
export function shortened(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const head = Math.ceil(charactersMax * 0.6);
  return `${text.slice(0, head)} … ${text.slice(text.length - (charactersMax - head - 3))}`.toWellFormed();
}
