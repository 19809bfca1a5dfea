import { parseName } from "@servable/aip";
import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import type { EventRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";

const BATCH = 200;
/** How often a watcher looks although nobody called: another process may have written. */
const LOOK_EVERY_MS = 1_000;

/** Watching the event log: in order, without gaps, resumable by sequence number. */
export class EventWatch {
  readonly #store: RegistryStore;
  readonly #changes: ChangeSignal;

  constructor(store: RegistryStore, changes: ChangeSignal) {
    this.#store = store;
    this.#changes = changes;
  }

  /** Yields what happened after `after` (-1 = only what comes). @throws StatusError `EVENTS_COMPACTED` */
  async *watch(parent: string, after: number, signal: AbortSignal): AsyncGenerator<EventRecord> {
    const { project } = parseName("projects/{project}", parent, "parent");
    const newest = await this.#store.events.newest();
    if (after > newest) throw new StatusError("FIELD_INVALID", `after_sequence ${after} is beyond the newest event ${newest}`, { metadata: { field: "after_sequence" } });
    const oldest = await this.#store.events.oldest();
    if (after > 0 && after < oldest - 1) throw new StatusError("EVENTS_COMPACTED", `events up to ${oldest - 1} are no longer kept: list, then watch from ${newest}`, { metadata: { newest: String(newest) } });
    let last = after < 0 ? newest : after;
    while (!signal.aborted) {
      const changed = this.#changes.next(LOOK_EVERY_MS, signal);
      const events = await this.#store.events.after(project, last, BATCH);
      for (const event of events) {
        last = event.sequence;
        yield event;
      }
      if (events.length < BATCH) await changed;
    }
  }
}
