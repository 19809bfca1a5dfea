// All models of a replica share one budget. A load asks for a seat first and gets it when there is room, or when enough of
// the least recently used models could be sent away. What a model takes is guessed from its files before its first load and
// measured afterwards. Who must leave is decided by @servable/scheduling; here is the waiting around it.
//
// I1  Loads are admitted one after the other, in order: a large one that waits is not overtaken for ever by small ones.
// I2  A seat is counted from its admission until its release: what is being loaded and what is being freed takes memory too.
// I3  Between the decision and the eviction nothing runs, so a model without requests then is one without requests now.

import { setTimeout as delay } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import { planEviction, type ResidentModel } from "@servable/scheduling";

/** How often a load that waits looks whether requests have ended. */
const LOOK_EVERY_MS = 20;
/** A load that nobody waits for sends nobody away who was used within this time. */
const SPARE_USED_WITHIN_MS = 60_000;
/** Loads that may wait for memory. */
const WAITING_MAX = 1_024;

/** A model as the budget sees it. */
export interface BudgetedModel {
  /** Unique. */
  readonly key: string;
  /** What callers know it by. */
  readonly name: string;
  readonly pinned: boolean;
  /** Requests that hold it. */
  readonly inFlight: number;
  /** When a request last came; 0 = never. */
  readonly lastUsedMs: number;
  /** Leaves memory: takes effect at once for new requests, resolves when the memory is free. */
  evict(): Promise<void>;
}

/** A model's place in memory. */
export interface MemorySeat {
  /** What it is counted with. */
  readonly bytes: number;
  /** The load is done: from now on it may be evicted. */
  settle(): void;
  /** Corrects what it is counted with. */
  measured(bytes: number): void;
  /** The model goes by itself: it counts until its release and is not evicted any more. */
  leave(): void;
  /** The memory is free again; a second call does nothing. */
  release(): void;
}

/** What a budget stands on. */
export interface MemoryBudgetOptions {
  /** 0 = not limited. */
  readonly budgetBytes: number;
  /** How long a load waits for memory. */
  readonly waitMsMax: number;
  readonly now: () => number;
  readonly onEviction?: (model: string, bytes: number) => void;
}

interface Entry {
  readonly model: BudgetedModel;
  bytes: number;
  readonly admittedAtMs: number;
  /** Undefined while it is being loaded. */
  settledAtMs: number | undefined;
  /** Evicted, its memory not free yet. */
  leaving: boolean;
}

/** The memory that models of one replica share. */
export class MemoryBudget {
  readonly #options: MemoryBudgetOptions;
  readonly #entries = new Set<Entry>();
  #turn: Promise<unknown> = Promise.resolve();
  #waitingCount = 0;
  /** The load whose turn it is found no room. */
  #isBlocked = false;
  #loadCount = 0;
  #evictionCount = 0;

  constructor(options: MemoryBudgetOptions) {
    this.#options = options;
  }

  /** 0 = not limited. */
  get budgetBytes(): number {
    return this.#options.budgetBytes;
  }

  /** What models take now, with those that are being loaded. */
  get usedBytes(): number {
    return [...this.#entries].reduce((total, { bytes }) => total + bytes, 0);
  }

  /** Loads that wait for memory. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** Seats given since the start. */
  get loadCount(): number {
    return this.#loadCount;
  }

  /** Models sent away since the start. */
  get evictionCount(): number {
    return this.#evictionCount;
  }

  /**
   * A seat for a model. One that somebody waits for (`isAwaited`) waits for its turn and for memory; any other gets
   * `undefined` when there is no room for it now.
   *
   * @throws StatusError `MODEL_TOO_LARGE` when it will never fit, `MEMORY_BUDGET_FULL` when no room came in time
   */
  async admit(model: BudgetedModel, bytes: number, isAwaited: boolean): Promise<MemorySeat | undefined> {
    if (!isAwaited && this.#isBlocked) {
      const plan = planEviction({ ...this.#state(), neededBytes: bytes });
      if (plan.kind === "never") throw this.#tooLarge(model, bytes, plan.availableBytes);
      return undefined;
    }
    if (this.#waitingCount >= WAITING_MAX) throw full(model, bytes, `${WAITING_MAX} loads wait for memory already`);
    this.#waitingCount++;
    const turn = this.#turn.then(() => this.#admitNext(model, bytes, isAwaited)); // I1
    this.#turn = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#waitingCount--;
    }
  }

  /** Sends idle models away when what was measured is more than the budget. */
  async trim(): Promise<void> {
    const plan = planEviction({ ...this.#state(), neededBytes: 0 });
    if (plan.kind === "fits") await this.#evict(plan.evict);
  }

  async #admitNext(model: BudgetedModel, bytes: number, isAwaited: boolean): Promise<MemorySeat | undefined> {
    const { now, waitMsMax, budgetBytes } = this.#options;
    const untilMs = now() + waitMsMax;
    for (;;) {
      const plan = planEviction({ ...this.#state(), neededBytes: bytes, spareUsedWithinMs: isAwaited ? 0 : SPARE_USED_WITHIN_MS });
      switch (plan.kind) {
        case "never":
          throw this.#tooLarge(model, bytes, plan.availableBytes);
        case "fits":
          await this.#evict(plan.evict); // I3
          return this.#seat(model, bytes);
        case "wait":
          if (!isAwaited) return undefined;
          if (now() >= untilMs) throw full(model, bytes, `${this.usedBytes} of ${budgetBytes} bytes are held by models that answer requests, are pinned or were loaded a moment ago`);
          this.#isBlocked = true;
          await delay(LOOK_EVERY_MS);
          this.#isBlocked = false;
          break;
        default: {
          const never: never = plan;
          throw new TypeError(String(never));
        }
      }
    }
  }

  #tooLarge(model: BudgetedModel, bytes: number, availableBytes: number): StatusError {
    return new StatusError("MODEL_TOO_LARGE", `'${model.name}' needs about ${bytes} bytes of memory, ${availableBytes} of ${this.#options.budgetBytes} are there for it besides pinned models: raise SERVABLE_MEMORY_BUDGET, unpin models or use a smaller one`, { metadata: { model: model.name, neededBytes: String(bytes), availableBytes: String(availableBytes) } });
  }

  async #evict(keys: readonly string[]): Promise<void> {
    const entries = [...this.#entries].filter(({ model, leaving }) => !leaving && keys.includes(model.key));
    await Promise.all(
      entries.map(async (entry) => {
        entry.leaving = true;
        this.#evictionCount++;
        this.#options.onEviction?.(entry.model.name, entry.bytes);
        // A process that does not end in good order is gone all the same.
        await entry.model.evict().finally(() => this.#entries.delete(entry));
      }),
    );
  }

  #seat(model: BudgetedModel, bytes: number): MemorySeat {
    const entry: Entry = { model, bytes, admittedAtMs: this.#options.now(), settledAtMs: undefined, leaving: false };
    this.#entries.add(entry);
    this.#loadCount++;
    return {
      get bytes() {
        return entry.bytes;
      },
      settle: () => {
        entry.settledAtMs = this.#options.now();
      },
      measured: (measuredBytes) => {
        entry.bytes = measuredBytes;
      },
      leave: () => {
        entry.leaving = true;
      },
      release: () => void this.#entries.delete(entry),
    };
  }

  /** I2: settled models are residents; loads and evictions in progress are taken. */
  #state(): { residents: ResidentModel[]; reservedBytes: number; budgetBytes: number; nowMs: number } {
    const residents: ResidentModel[] = [];
    let reservedBytes = 0;
    for (const { model, bytes, admittedAtMs, settledAtMs, leaving } of this.#entries) {
      if (settledAtMs === undefined || leaving) reservedBytes += bytes;
      else residents.push({ key: model.key, bytes, lastUsedMs: model.lastUsedMs, loadedAtMs: settledAtMs, loadMs: settledAtMs - admittedAtMs, leaseCount: model.inFlight, pinned: model.pinned });
    }
    return { residents, reservedBytes, budgetBytes: this.#options.budgetBytes, nowMs: this.#options.now() };
  }
}

function full(model: BudgetedModel, bytes: number, why: string): StatusError {
  return new StatusError("MEMORY_BUDGET_FULL", `'${model.name}' needs about ${bytes} bytes of memory and got none in time: ${why}`, { metadata: { model: model.name, neededBytes: String(bytes) } });
}
