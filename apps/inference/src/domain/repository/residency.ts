// Which models of this replica are in memory. A model says how it wants to be held (`servable.load`, `servable.pinned`);
// the budget says whether there is room; what its engines really take is measured after each load and now and then.

import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import type { Assignment } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { estimateFootprintBytes } from "@servable/scheduling";
import { instanceCountOf } from "../config/batching-options.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { MemoryBudget, MemorySeat } from "./memory-budget.ts";
import { keyOf } from "./version-spec.ts";

/** How a model wants to be held. */
export interface ResidencySettings {
  /** Loaded as soon as it is assigned while there is room, or at its first call. */
  readonly load: "eager" | "on-demand";
  /** Never leaves memory; cannot be served where it does not fit. */
  readonly pinned: boolean;
}

/** What residency stands on. */
export interface ResidencyDeps {
  readonly budget: MemoryBudget;
  /** Private memory of processes together; undefined where the system does not tell. */
  readonly measureBytes: (pids: readonly number[]) => Promise<number | undefined>;
}

/** Bytes at which a measurement differs enough from what was told to be told anew. */
const CHANGE_MIN = 0.25;
/** Models measured again in one round. */
const MEASURED_MAX = 32;

interface Held {
  readonly settings: ResidencySettings;
  readonly key: string;
  seat: MemorySeat | undefined;
}

/** The models of one replica as its memory sees them. */
export class Residency {
  readonly #deps: ResidencyDeps;
  readonly #held = new Map<LoadedModel, Held>();
  #serial = 0;
  #nextMeasured = 0;

  constructor(deps: ResidencyDeps) {
    this.#deps = deps;
  }

  /** The budget behind it. */
  get budget(): MemoryBudget {
    return this.#deps.budget;
  }

  /** Makes a model known and answers how it wants to be held. @throws StatusError `FIELD_INVALID` */
  add(model: LoadedModel, assignment: Assignment): ResidencySettings {
    const settings = residencyOf(model.spec.config);
    // A version that is loaded anew is there twice for a moment.
    this.#held.set(model, { settings, key: `${keyOf(assignment)}#${this.#serial++}`, seat: undefined });
    const artifactBytes = assignment.modelVersion?.artifacts.reduce((total, { sizeBytes }) => total + Number(sizeBytes), 0) ?? 0;
    // A pipeline has no engine of its own.
    const isPipeline = model.spec.config.schedulingChoice.case === "ensembleScheduling";
    model.footprintBytes = isPipeline ? 0 : estimateFootprintBytes(artifactBytes, instanceCountOf(model.spec.config));
    return settings;
  }

  /** Whether a model never leaves memory. */
  isPinned(model: LoadedModel): boolean {
    return this.#held.get(model)?.settings.pinned === true;
  }

  /** Takes a place for a model that is about to be loaded; answers whether there was one. @throws StatusError `MODEL_TOO_LARGE`, `MEMORY_BUDGET_FULL` */
  async admit(model: LoadedModel, isAwaited: boolean): Promise<boolean> {
    const held = this.#held.get(model);
    if (held === undefined) throw new TypeError("the model was not added");
    held.seat = await this.#deps.budget.admit(
      {
        key: held.key,
        name: model.spec.name,
        pinned: held.settings.pinned,
        get inFlight() {
          // A model that left memory in the middle of a sequence would forget its state.
          return model.inFlight + (model.executor?.sequenceCount ?? 0);
        },
        get lastUsedMs() {
          return model.lastUsedMs;
        },
        evict: () => this.#evict.get(model)?.() ?? Promise.resolve(),
      },
      model.footprintBytes,
      isAwaited,
    );
    return held.seat !== undefined;
  }

  /** A model is loaded: it is measured, and may be sent away by `evict`. */
  settle(model: LoadedModel, evict: () => Promise<void>): void {
    this.#evict.set(model, evict);
    this.#held.get(model)?.seat?.settle();
    // What is measured corrects a guess; nobody waits for it.
    void this.#measure(model).catch(() => {});
  }

  readonly #evict = new WeakMap<LoadedModel, () => Promise<void>>();

  /** A model goes by itself: nobody needs to send it away. */
  leave(model: LoadedModel): void {
    this.#held.get(model)?.seat?.leave();
  }

  /** A model's memory is free. */
  release(model: LoadedModel): void {
    const held = this.#held.get(model);
    held?.seat?.release();
    if (model.state === "UNLOADING") this.#held.delete(model);
  }

  /** Measures some of the models in memory, in turn, and sends idle ones away when all take more than the budget. */
  async measureSome(): Promise<void> {
    const loaded = [...this.#held.keys()].filter(({ state }) => state === "READY");
    const from = loaded.length === 0 ? 0 : this.#nextMeasured % loaded.length;
    this.#nextMeasured = from + MEASURED_MAX;
    for (const model of [...loaded.slice(from), ...loaded.slice(0, from)].slice(0, MEASURED_MAX)) await this.#measure(model);
    await this.#deps.budget.trim();
  }

  async #measure(model: LoadedModel): Promise<void> {
    const { seat } = this.#held.get(model) ?? {};
    const pids = model.executor?.pids ?? [];
    if (seat === undefined || pids.length === 0) return;
    const bytes = await this.#deps.measureBytes(pids);
    if (bytes === undefined || model.state !== "READY") return;
    seat.measured(bytes);
    // Small changes are nobody's business: each one told is a write in the registry.
    if (Math.abs(bytes - model.footprintBytes) > CHANGE_MIN * model.footprintBytes) model.footprintBytes = bytes;
  }
}

/** Reads `servable.load` and `servable.pinned`. @throws StatusError `FIELD_INVALID` naming the parameter */
export function residencyOf({ parameters }: ModelConfig): ResidencySettings {
  const choose = <T extends string>(key: string, choices: readonly T[], otherwise: T): T => {
    const text = parameters[key]?.stringValue.trim().toLowerCase() ?? otherwise;
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new StatusError("FIELD_INVALID", `parameters["${key}"] is "${text}": it must be ${choices.join(" or ")}`, { metadata: { field: `parameters.${key}` } });
    return found;
  };
  return { load: choose("servable.load", ["eager", "on-demand"], "eager"), pinned: choose("servable.pinned", ["true", "false"], "false") === "true" };
}
