// Which models leave memory so that another can come. Least recently used is what everybody knows and is hard to beat at a
// few hundred models; what makes it fit for serving are three rules of who must not go.
//
// I1  A model with a lease (a request in flight or waiting for it) stays: eviction never fails a request.
// I2  A pinned model stays.
// I3  A model stays until its load has paid off: for a multiple of the time that its load took. With more hot models than
//     fit, each replica then spends a bounded share of its time loading, instead of all of it (thrashing).
// I4  No model leaves in vain: without any one of those chosen the newcomer would not fit.

/** A model in memory. */
export interface ResidentModel {
  readonly key: string;
  readonly bytes: number;
  readonly lastUsedMs: number;
  /** When it became ready. */
  readonly loadedAtMs: number;
  /** How long its load took. */
  readonly loadMs: number;
  /** Requests that hold it. */
  readonly leaseCount: number;
  readonly pinned: boolean;
}

/** What is asked for. */
export interface EvictionRequest {
  readonly residents: readonly ResidentModel[];
  /** 0 = not limited. */
  readonly budgetBytes: number;
  /** Bytes set aside for models that are just being loaded. */
  readonly reservedBytes: number;
  /** What the newcomer takes. */
  readonly neededBytes: number;
  readonly nowMs: number;
  /** Besides I3, spares what was used within this time: for loads that nobody waits for. @default 0 */
  readonly spareUsedWithinMs?: number;
}

/** What is to be done. */
export type EvictionPlan =
  /** Evict these (none, when there is room), then load. */
  | { readonly kind: "fits"; readonly evict: readonly string[] }
  /** Not now: what would have to go is held or still protected. `retryAtMs` is when the first protection ends, if any does. */
  | { readonly kind: "wait"; readonly retryAtMs: number | undefined }
  /** Never: pinned models and the budget leave `availableBytes`. */
  | { readonly kind: "never"; readonly availableBytes: number };

/** A model stays for this many times the time that its load took: at most a fifth of the time goes into loads. */
export const LOADS_PAID_OFF = 4;

/** Decides what leaves. A pure function of its arguments. */
export function planEviction({ residents, budgetBytes, reservedBytes, neededBytes, nowMs, spareUsedWithinMs = 0 }: EvictionRequest): EvictionPlan {
  if (budgetBytes === 0) return { kind: "fits", evict: [] };
  const pinnedBytes = sum(residents.filter(({ pinned }) => pinned));
  if (neededBytes > budgetBytes - pinnedBytes) return { kind: "never", availableBytes: Math.max(0, budgetBytes - pinnedBytes) };

  let excessBytes = sum(residents) + reservedBytes + neededBytes - budgetBytes;
  if (excessBytes <= 0) return { kind: "fits", evict: [] };
  const protectedUntilMs = (model: ResidentModel): number => Math.max(model.loadedAtMs + LOADS_PAID_OFF * model.loadMs, spareUsedWithinMs === 0 ? 0 : Math.max(model.lastUsedMs, model.loadedAtMs) + spareUsedWithinMs);
  const idle = residents.filter(({ pinned, leaseCount }) => !pinned && leaseCount === 0); // I1, I2
  const victims: ResidentModel[] = [];
  for (const model of idle.filter((each) => protectedUntilMs(each) <= nowMs).toSorted(leastRecentFirst)) {
    if (excessBytes <= 0) break;
    victims.push(model);
    excessBytes -= model.bytes;
  }
  if (excessBytes > 0) {
    const ends = idle.map(protectedUntilMs).filter((endMs) => endMs > nowMs);
    return { kind: "wait", retryAtMs: ends.length === 0 ? undefined : Math.min(...ends) };
  }
  // I4: whoever was taken early and is not needed after the big ones came may stay, the most recently used first.
  const evict = victims.toReversed().filter((model) => {
    if (excessBytes + model.bytes > 0) return true;
    excessBytes += model.bytes;
    return false;
  });
  return { kind: "fits", evict: evict.toReversed().map(({ key }) => key) };
}

function leastRecentFirst(a: ResidentModel, b: ResidentModel): number {
  return a.lastUsedMs - b.lastUsedMs || a.loadedAtMs - b.loadedAtMs || (a.key < b.key ? -1 : 1);
}

function sum(models: readonly ResidentModel[]): number {
  return models.reduce((total, { bytes }) => total + bytes, 0);
}
