import { StatusError } from "@servable/errors";
import type { SkippedRow } from "../records.ts";

/** How many bad rows a refusal names. */
const NAMED_MAX = 20;
/** Rows that may be left out: more are no exceptions but another format. */
export const SKIPPED_ROWS_MAX = 10_000;

/** Collects rows that cannot be read: none is dropped in silence. */
export class BadRows {
  readonly #skip: boolean;
  readonly #rows: SkippedRow[] = [];

  /** @param skip whether they are left out and listed; otherwise {@link finish} refuses the data set */
  constructor(skip: boolean) {
    this.#skip = skip;
  }

  /** @throws StatusError `DATASET_MALFORMED` when there are more than can be told */
  add(place: string, reason: string): void {
    this.#rows.push({ place, reason });
    if (this.#rows.length > SKIPPED_ROWS_MAX) throw this.#refusal(`more than ${SKIPPED_ROWS_MAX}`);
  }

  /** The rows left out. @throws StatusError `DATASET_MALFORMED` naming the first ones when none may be */
  finish(): readonly SkippedRow[] {
    if (this.#rows.length > 0 && !this.#skip) throw this.#refusal(String(this.#rows.length));
    return this.#rows;
  }

  #refusal(count: string): StatusError {
    const named = this.#rows.slice(0, NAMED_MAX).map(({ place, reason }) => `${place}: ${reason}`);
    const first = this.#rows[0]?.place ?? "";
    const advice = this.#skip ? "these are too many to leave out" : "correct them, or upload with bad_row_policy SKIP to leave them out";
    const more = this.#rows.length === 1 ? "" : ` (${count} bad rows in all${this.#rows.length > NAMED_MAX ? `, the first ${NAMED_MAX} are named` : ""}; ${advice})`;
    return new StatusError("DATASET_MALFORMED", `${named.join("; ")}${more}; nothing was kept`, {
      metadata: { ...(first.startsWith("line ") ? { line: first.slice(5) } : {}), bad_rows: String(this.#rows.length) },
    });
  }
}
