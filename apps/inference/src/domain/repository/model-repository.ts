// Makes what is served equal to what is assigned.
//
// I1  A version that serves goes on serving while its successor loads; only then it drains.
// I2  One version that cannot be loaded is FAILED with the reason and touches no other.
// I3  Each version is loaded or unloaded by at most one task at a time, and no task waits for another version's: a model that
//     takes a minute to load keeps nobody else waiting. When a task ends, what is wanted now is looked at again.
// I4  An idle model is loaded by one task, however many calls wait for it.

import { setTimeout as delay } from "node:timers/promises";
import type { Assignment } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { readClassLabels } from "./class-labels.ts";
import type { CreateExecutor } from "../executors/create-executor.ts";
import { LoadedModel, type InferObserver } from "./loaded-model.ts";
import type { Residency } from "./residency.ts";
import { withConfiguredShapes } from "../executors/reshaping-executor.ts";
import { emptySpec, keyOf, specOf } from "./version-spec.ts";
import { warmUp } from "./warmup.ts";

/** What the repository stands on. */
export interface RepositoryDeps {
  /** Brings the version's files onto this machine and answers the folder that holds them. */
  readonly fetchModel: (assignment: Assignment) => Promise<string>;
  /** Makes what answers the version's requests. */
  readonly createExecutor: CreateExecutor;
  /** Who may be in memory. */
  readonly residency: Residency;
  readonly observe: InferObserver;
  readonly drainMs: number;
  /** How long to wait before a FAILED version is tried again. */
  readonly retryMs: number;
}

/** The versions that this replica holds. */
export class ModelRepository {
  readonly #deps: RepositoryDeps;
  readonly #models = new Map<string, LoadedModel>();
  /** The same by deployment, versions ascending: calls look here. */
  readonly #byDeployment = new Map<string, readonly LoadedModel[]>();
  readonly #wakes = new Map<LoadedModel, Promise<void>>();
  readonly #changed = new Set<() => void>();
  /** Versions that end what they have begun. */
  readonly #retiring = new Set<LoadedModel>();
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
  of(deployment: string): readonly LoadedModel[] {
    return this.#byDeployment.get(deployment) ?? [];
  }

  /**
   * The version that serves a call: the one asked for by number or alias, else the newest one that serves.
   *
   * @throws StatusError `MODEL_NOT_FOUND`, `FIELD_INVALID`, `MODEL_NOT_READY`, in the words that the protocol's clients know
   */
  resolve(project: string, name: string, version: string): LoadedModel {
    const models = this.of(`projects/${project}/deployments/${name}`);
    if (version !== "") {
      const alias = /^\d+$/.test(version) ? undefined : this.#wanted.find(({ deployment, aliases }) => aliases.includes(version) && deployment === `projects/${project}/deployments/${name}`);
      if (alias !== undefined) return this.resolve(project, name, String(alias.modelVersion?.number ?? 0n));
      if (!/^\d+$/.test(version)) throw new StatusError("FIELD_INVALID", `failed to get model version from specified version string '${version}' (details: not a number), version should be an integral value > 0`, { metadata: { field: "model_version" } });
      const found = models.find(({ spec }) => spec.version === Number(version));
      if (found === undefined) throw unknownModel(name, models.length === 0 ? "is not found" : `version ${version} is not found`);
      return found;
    }
    const serving = models.findLast(({ isServing }) => isServing) ?? models.at(-1);
    if (serving === undefined) throw unknownModel(name, "is not found");
    return serving;
  }

  /** The version that is in the middle of a sequence, which may be on its way out; else the resolved one. Only it has the sequence's state. */
  continuing(resolved: LoadedModel, version: string, sequenceId: string): LoadedModel {
    if (resolved.holdsSequence(sequenceId)) return resolved;
    const { deployment, version: number } = resolved.spec;
    const others = [...this.of(deployment), ...[...this.#retiring].filter(({ spec }) => spec.deployment === deployment)];
    return others.find((model) => (version === "" || model.spec.version === number) && model.holdsSequence(sequenceId)) ?? resolved;
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
    await Promise.all(this.all().map((model) => this.#retire(model)));
    for (const key of [...this.#models.keys()]) this.#set(key, undefined);
  }

  /** Starts what is missing and ends what is no longer wanted. FAILED versions are tried again only when `retryFailed`. */
  #reconcile(retryFailed: boolean): void {
    if (this.#closed) return;
    for (const assignment of this.#wanted) {
      const held = this.#models.get(keyOf(assignment));
      // Settings that could not be loaded were taken back: there is nothing to complain of any more.
      if (held?.isServing === true && held.spec.etag === assignment.etag) held.message = "";
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
    const drained = this.#retire(model);
    this.#notify();
    await drained;
    this.#set(key, undefined);
    this.#notify();
  }

  async #retire(model: LoadedModel): Promise<void> {
    this.#deps.residency.leave(model);
    this.#retiring.add(model);
    await model.unload(this.#deps.drainMs).finally(() => this.#retiring.delete(model));
    this.#deps.residency.release(model);
  }

  async #load(assignment: Assignment): Promise<void> {
    const key = keyOf(assignment);
    const before = this.#models.get(key);
    let model: LoadedModel | undefined;
    try {
      model = new LoadedModel(specOf(assignment), this.#deps.observe);
      if (before?.isServing !== true) this.#set(key, model);
      this.#notify();
      const { load, pinned } = this.#deps.residency.add(model, assignment);
      // Files come to disk at once also for models that wait there: the first call should pay for a load only.
      model.folder = await this.#deps.fetchModel(assignment);
      // The successor of a model in memory is warm when it takes over, whoever asks for it first.
      const succeeds = this.of(assignment.deployment).some((other) => other !== model && other.state === "READY");
      if (load === "on-demand" && !succeeds) this.#sleep(model, assignment);
      else if (!(await this.#bringIn(model, model.folder, assignment, pinned))) this.#sleep(model, assignment);
      this.#set(key, model);
      this.#notify();
      if (before !== undefined) await this.#retire(before);
    } catch (error) {
      model ??= new LoadedModel({ ...emptySpec(assignment) }, this.#deps.observe);
      this.#fail(model, error); // I2
      // What serves goes on serving with its old settings, and says why the new ones are not in force.
      if (before?.isServing === true) before.message = model.message;
      else this.#set(key, model);
      this.#notify();
    }
  }

  /** Loads a version where it gets a place in memory; answers whether it did. */
  async #bringIn(model: LoadedModel, folder: string, assignment: Assignment, isAwaited: boolean): Promise<boolean> {
    const { residency, createExecutor } = this.#deps;
    if (!(await residency.admit(model, isAwaited))) return false;
    try {
      const onDown = (message: string): void => {
        model.state = "FAILED";
        model.message = message;
        residency.release(model);
        this.#notify();
        this.#retryLater();
      };
      const { spec } = model;
      model.labels = await readClassLabels(spec.config, folder);
      model.executor = withConfiguredShapes(await createExecutor(folder, spec, onDown, this), spec.config, spec.signature);
      await warmUp(model.executor, spec, folder, Math.random);
    } catch (error) {
      await model.executor?.[Symbol.asyncDispose]();
      model.executor = undefined;
      residency.release(model);
      throw error;
    }
    model.state = "READY";
    residency.settle(model, () => this.#sleepNow(model, assignment));
    return true;
  }

  /** The model waits on disk for its first call. */
  #sleep(model: LoadedModel, assignment: Assignment): void {
    model.state = "IDLE";
    model.wake = (signal) => this.#wake(model, assignment, signal);
  }

  /** Sends a model in memory away. */
  async #sleepNow(model: LoadedModel, assignment: Assignment): Promise<void> {
    const freed = model.evict();
    this.#sleep(model, assignment);
    this.#notify();
    await freed;
  }

  /** I4. A caller that leaves does not end the load: others may wait for it, and it will be wanted again. */
  #wake(model: LoadedModel, assignment: Assignment, signal: AbortSignal): Promise<void> {
    let wake = this.#wakes.get(model);
    if (wake === undefined) {
      wake = this.#loadIdle(model, assignment).finally(() => this.#wakes.delete(model));
      this.#wakes.set(model, wake);
      // Every caller may have left by then.
      wake.catch(() => {});
    }
    return orAborted(wake, signal);
  }

  async #loadIdle(model: LoadedModel, assignment: Assignment): Promise<void> {
    const key = keyOf(assignment);
    for (let task = this.#tasks.get(key); task !== undefined; task = this.#tasks.get(key)) await task.done; // I3
    if (model.state !== "IDLE" || this.#closed) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#start(key, assignment.deployment, true, async () => {
      model.state = "LOADING";
      try {
        await this.#bringIn(model, model.folder, assignment, true);
        this.#notify();
        resolve();
      } catch (error) {
        const failure = StatusError.from(error);
        // Without memory it stays what it was; a version that cannot be loaded says so.
        if (failure.reason === "MEMORY_BUDGET_FULL") model.state = "IDLE";
        else this.#fail(model, error);
        this.#notify();
        reject(new StatusError(failure.reason, failure.reason === "MEMORY_BUDGET_FULL" ? failure.message : model.message, { code: failure.code, metadata: failure.metadata, cause: error }));
      }
    });
    return promise;
  }

  #fail(model: LoadedModel, error: unknown): void {
    const failure = StatusError.from(error);
    model.state = "FAILED";
    model.message = `failed to load '${model.spec.name}': ${failure.reason === "INTERNAL" ? (error instanceof Error ? error.message : "internal error") : failure.message}`;
    if (failure.retryable || failure.reason === "INTERNAL") this.#retryLater();
  }

  #set(key: string, model: LoadedModel | undefined): void {
    const deployment = (model ?? this.#models.get(key))?.spec.deployment ?? "";
    if (model === undefined) this.#models.delete(key);
    else this.#models.set(key, model);
    const versions = [...this.#models.values()].filter(({ spec }) => spec.deployment === deployment).sort((a, b) => a.spec.version - b.spec.version);
    if (versions.length === 0) this.#byDeployment.delete(deployment);
    else this.#byDeployment.set(deployment, versions);
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

/** The words that stock clients look for. */
export function unknownModel(name: string, what: string): StatusError {
  return new StatusError("MODEL_NOT_FOUND", `Request for unknown model: '${name}' ${what}`, { metadata: { model: name } });
}

async function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(StatusError.from(signal.reason));
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
