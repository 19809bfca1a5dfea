// Makes what is served equal to what is assigned.
//
// I1  A version that serves goes on serving while its successor loads; only then it drains.
// I2  One version that cannot be loaded is FAILED with the reason and touches no other.
// I3  Each version is loaded or unloaded by at most one task at a time, and no task waits for another version's: a model that
//     takes a minute to load keeps nobody else waiting. When a task ends, what is wanted now is looked at again.

import { setTimeout as delay } from "node:timers/promises";
import type { Assignment } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { isDatatype } from "@servable/tensor";
import type { CreateExecutor } from "./create-executor.ts";
import { LoadedModel, type InferObserver, type VersionSpec } from "./loaded-model.ts";
import { modelConfigOf, type Signature } from "./model-config.ts";

/** What the repository stands on. */
export interface RepositoryDeps {
  /** Brings the version's files onto this machine and answers the folder that holds them. */
  readonly fetchModel: (assignment: Assignment) => Promise<string>;
  /** Makes what answers the version's requests. */
  readonly createExecutor: CreateExecutor;
  readonly observe: InferObserver;
  readonly drainMs: number;
  /** How long to wait before a FAILED version is tried again. */
  readonly retryMs: number;
}

/** The versions that this replica holds. */
export class ModelRepository {
  readonly #deps: RepositoryDeps;
  readonly #models = new Map<string, LoadedModel>();
  readonly #changed = new Set<() => void>();
  #wanted: readonly Assignment[] = [];
  readonly #tasks = new Map<string, { readonly deployment: string; readonly loads: boolean; readonly done: Promise<void> }>();
  #retryTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: RepositoryDeps) {
    this.#deps = deps;
  }

  /** Every version held, in the order of names and numbers. */
  all(): LoadedModel[] {
    return [...this.#models.values()].sort((a, b) => (a.spec.deployment === b.spec.deployment ? a.spec.version - b.spec.version : a.spec.deployment < b.spec.deployment ? -1 : 1));
  }

  /** Versions of one deployment, ascending. */
  of(deployment: string): LoadedModel[] {
    return this.all().filter(({ spec }) => spec.deployment === deployment);
  }

  /**
   * The version that serves a call: the one asked for, else the newest READY one.
   *
   * @throws StatusError `MODEL_NOT_FOUND`, `FIELD_INVALID`, `MODEL_NOT_READY`, in the words that the protocol's clients know
   */
  resolve(project: string, name: string, version: string): LoadedModel {
    const models = this.of(`projects/${project}/deployments/${name}`);
    if (version !== "") {
      if (!/^\d+$/.test(version)) throw new StatusError("FIELD_INVALID", `failed to get model version from specified version string '${version}' (details: not a number), version should be an integral value > 0`, { metadata: { field: "model_version" } });
      const found = models.find(({ spec }) => spec.version === Number(version));
      if (found === undefined) throw unknownModel(name, models.length === 0 ? "is not found" : `version ${version} is not found`);
      return found;
    }
    const ready = models.filter(({ state }) => state === "READY").at(-1) ?? models.at(-1);
    if (ready === undefined) throw unknownModel(name, "is not found");
    return ready;
  }

  /** Takes a new set of assignments; answers when this replica holds what is wanted, or has failed to. */
  async apply(assignments: readonly Assignment[]): Promise<void> {
    this.#wanted = assignments;
    this.#reconcile(true);
    while (this.#tasks.size > 0) await Promise.all([...this.#tasks.values()].map(({ done }) => done));
  }

  /** Resolves at the next change of any state, or when the signal aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#changed.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#changed.add(done);
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }

  /** Unloads everything. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retryTimer);
    // A load cannot be interrupted; its engine ends with this process.
    const bound = delay(this.#deps.drainMs, undefined, { ref: false });
    await Promise.race([Promise.allSettled([...this.#tasks.values()].map(({ done }) => done)), bound]);
    await Promise.all(this.all().map((model) => model.unload(this.#deps.drainMs)));
    this.#models.clear();
  }

  /** Starts what is missing and ends what is no longer wanted. FAILED versions are tried again only when `retryFailed`. */
  #reconcile(retryFailed: boolean): void {
    if (this.#closed) return;
    for (const assignment of this.#wanted) {
      const held = this.#models.get(keyOf(assignment));
      // Settings that could not be loaded were taken back: there is nothing to complain of any more.
      if (held?.state === "READY" && held.spec.etag === assignment.etag) held.message = "";
      const missing = held === undefined || (held.spec.etag !== assignment.etag && (retryFailed || held.message === "")) || (held.state === "FAILED" && retryFailed);
      if (missing) this.#start(keyOf(assignment), assignment.deployment, true, () => this.#load(assignment));
    }
    const wanted = new Set(this.#wanted.map(keyOf));
    for (const [key, model] of this.#models) {
      const { deployment } = model.spec;
      const successorLoads = [...this.#tasks.values()].some((task) => task.loads && task.deployment === deployment);
      if (!wanted.has(key) && !successorLoads) this.#start(key, deployment, false, () => this.#unload(key, model)); // I1
    }
  }

  /** I3 */
  #start(key: string, deployment: string, loads: boolean, work: () => Promise<void>): void {
    if (this.#tasks.has(key)) return;
    const done = work().finally(() => {
      this.#tasks.delete(key);
      this.#reconcile(false);
    });
    this.#tasks.set(key, { deployment, loads, done });
  }

  async #unload(key: string, model: LoadedModel): Promise<void> {
    const drained = model.unload(this.#deps.drainMs);
    this.#notify();
    await drained;
    this.#models.delete(key);
    this.#notify();
  }

  async #load(assignment: Assignment): Promise<void> {
    const key = keyOf(assignment);
    const before = this.#models.get(key);
    let model: LoadedModel | undefined;
    try {
      const spec = specOf(assignment);
      model = new LoadedModel(spec, this.#deps.observe);
      const loading = model;
      if (before?.state !== "READY") this.#models.set(key, model);
      this.#notify();
      const onDown = (message: string): void => {
        loading.state = "FAILED";
        loading.message = message;
        this.#notify();
        this.#retryLater();
      };
      model.folder = await this.#deps.fetchModel(assignment);
      model.executor = await this.#deps.createExecutor(model.folder, spec, onDown, this);
      model.state = "READY";
      this.#models.set(key, model);
      this.#notify();
      if (before !== undefined) await before.unload(this.#deps.drainMs);
    } catch (error) {
      const failure = StatusError.from(error); // I2
      model ??= new LoadedModel({ ...emptySpec(assignment) }, this.#deps.observe);
      model.state = "FAILED";
      model.message = failure.reason === "INTERNAL" ? `failed to load '${model.spec.name}': ${error instanceof Error ? error.message : "internal error"}` : `failed to load '${model.spec.name}': ${failure.message}`;
      // What serves goes on serving with its old settings, and says why the new ones are not in force.
      if (before?.state === "READY") before.message = model.message;
      else this.#models.set(key, model);
      this.#notify();
      if (failure.retryable || failure.reason === "INTERNAL") this.#retryLater();
    }
  }

  #retryLater(): void {
    clearTimeout(this.#retryTimer);
    if (this.#closed) return;
    this.#retryTimer = setTimeout(() => void this.apply([...this.#wanted]), this.#deps.retryMs);
    this.#retryTimer.unref();
  }

  #notify(): void {
    for (const wake of [...this.#changed]) wake();
  }
}

function keyOf({ deployment, modelVersion }: Assignment): string {
  return `${deployment}@${modelVersion?.number ?? 0n}`;
}

function emptySpec({ deployment, modelVersion, etag }: Assignment): VersionSpec {
  const name = deployment.split("/").at(-1) ?? "";
  const signature = { inputs: [], outputs: [] };
  return { deployment, name, version: Number(modelVersion?.number ?? 0n), etag, signature, config: modelConfigOf(name, signature) };
}

function specOf(assignment: Assignment): VersionSpec {
  const { modelVersion, servingConfigJson } = assignment;
  const tensor = ({ name, datatype, shape, dimensionNames }: { name: string; datatype: string; shape: bigint[]; dimensionNames: string[] }) => {
    if (!isDatatype(datatype)) throw new StatusError("MODEL_REFUSED", `"${name}" has the unknown datatype ${datatype}`);
    return { name, datatype, shape: shape.map(Number), dimensionNames };
  };
  const signature: Signature = { inputs: modelVersion?.signature?.inputs.map(tensor) ?? [], outputs: modelVersion?.signature?.outputs.map(tensor) ?? [] };
  const empty = emptySpec(assignment);
  return { ...empty, signature, config: modelConfigOf(empty.name, signature, modelVersion?.servingConfigJson ?? "", servingConfigJson) };
}

/** The words that stock clients look for. */
export function unknownModel(name: string, what: string): StatusError {
  return new StatusError("MODEL_NOT_FOUND", `Request for unknown model: '${name}' ${what}`, { metadata: { model: name } });
}
