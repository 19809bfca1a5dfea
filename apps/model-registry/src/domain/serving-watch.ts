import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import type { ReplicaRecord, VersionStatusRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";
import { WantedVersions } from "./wanted-versions.ts";
import { isHandedOver, readServingState, type ServingState } from "./serving-state.ts";

/** How often a watcher looks although nobody called: a lease may have run out, another process may have written. */
const LOOK_EVERY_MS = 1_000;
/** Watchers that look within this time share one reading, unless something changed here meanwhile. */
const SHARED_MS = 250;

/** Leases of replicas, and snapshots of the serving state for whoever follows it. */
export class ServingWatch {
  readonly #deps: { store: RegistryStore; changes: ChangeSignal; now: () => number; leaseMs: number };
  readonly #wanted = new WantedVersions();
  #latest: { readonly state: Promise<ServingState>; readonly changeCount: number; readonly atMs: number } | undefined;

  constructor(deps: { store: RegistryStore; changes: ChangeSignal; now: () => number; leaseMs: number }) {
    this.#deps = deps;
  }

  get leaseMs(): number {
    return this.#deps.leaseMs;
  }

  /** Renews a replica's lease and takes its report; answers whether a draining one may stop. */
  async report(replica: Omit<ReplicaRecord, "expireTimeMs">, statuses: readonly VersionStatusRecord[], leaving: boolean): Promise<boolean> {
    if (replica.replicaId === "" || replica.address === "") {
      const field = replica.replicaId === "" ? "replica.replica_id" : "replica.address";
      throw new StatusError("FIELD_REQUIRED", `${field} is required`, { metadata: { field } });
    }
    const { store, changes, now, leaseMs } = this.#deps;
    if (leaving) {
      await store.replicas.delete(replica.replicaId);
      changes.notify();
      return true;
    }
    const changed = await store.transact((each) => each.replicas.report({ ...replica, expireTimeMs: now() + leaseMs }, statuses));
    if (changed) changes.notify();
    return replica.draining && isHandedOver(await this.read(), replica.replicaId);
  }

  /** The state now. */
  read(): Promise<ServingState> {
    const { store, changes, now } = this.#deps;
    const latest = this.#latest;
    if (latest !== undefined && latest.changeCount === changes.count && now() - latest.atMs < SHARED_MS) return latest.state;
    const reading = { state: readServingState(store, now(), this.#wanted), changeCount: changes.count, atMs: now() };
    this.#latest = reading;
    // What failed is not shared: the next one asks anew.
    reading.state.catch(() => {
      if (this.#latest === reading) this.#latest = undefined;
    });
    return reading.state;
  }

  /** Yields what `view` makes of the state, at once and whenever it differs; `undefined` ends the watch. */
  async *watch<T>(view: (state: ServingState) => { readonly key: string; readonly value: T } | undefined, signal: AbortSignal): AsyncGenerator<T> {
    let last: string | undefined;
    while (!signal.aborted) {
      const changed = this.#deps.changes.next(LOOK_EVERY_MS, signal);
      const seen = view(await this.read());
      if (seen === undefined) return;
      if (seen.key !== last) yield seen.value;
      last = seen.key;
      await changed;
    }
  }
}
