// A step: the graph computes loss and gradients, an in-place optimiser moves the parameters. The graph reads the parameters where
// the optimiser writes them, so no step copies them and none needs a new session. An optimiser made of nodes took twice the time
// for a small network, see docs/adr/0021.
//
// I1  A step that does not count (loss or gradients not finite) changes nothing: parameters, buffers and state are written only
//     after the gradient's norm is known.
// I2  What a step draws and which rate it has follow from (seed, step): a trainer that is restored goes on bit by bit.

import { StatusError } from "@servable/errors";
import { Scope, type Network } from "@servable/nn";
import { buildModel } from "@servable/onnx";
import { constantSchedule, type Optimizer, type Plateau, type PlateauState, type Schedule } from "@servable/optim";
import { EvaluationPlan } from "./evaluation-plan.ts";
import { built, signatureOf, sizesOf } from "./network-signature.ts";
import { NetworkState } from "./network-state.ts";
import { SessionCache } from "./session-cache.ts";
import { TrainingPlan } from "./training-plan.ts";
import type { Evaluation, Feeds, Snapshot, StepResult, Trainer } from "./trainer.ts";

/** How a network is trained. */
export interface TrainerOptions {
  readonly network: Network;
  /** E.g. `adamW({ learningRate: 1e-3 })`. */
  readonly optimizer: Optimizer;
  /** First weights and dropout follow from it. @default 0 */
  readonly seed?: number | bigint;
  /** Threads of onnxruntime; with convolutions another number gives other roundings. @default 1 */
  readonly threads?: number;
  /** Factor of the optimiser's learning rate for each step. @default constant */
  readonly schedule?: Schedule;
  /** Lowers the rate further when a metric that is told by `observe` no longer improves. */
  readonly plateau?: Plateau;
  /** Longest Euclidean length of all gradients together; longer ones are scaled down. */
  readonly clipNorm?: number;
  /** Largest magnitude of a number of a gradient. */
  readonly clipValue?: number;
  /** Keeps an exponential moving average of the parameters: evaluations and exports use it. E.g. 0.999. */
  readonly averageDecay?: number;
  /** Values to begin with instead of the network's own, by name of parameter or buffer. */
  readonly initial?: ReadonlyMap<string, Float32Array>;
  /** Sizes of the first batch by the names of dimensions: its graph is built at once, so that a mistake shows before data is read. */
  readonly dimensions?: Readonly<Record<string, number>>;
  /** Sizes of batches whose sessions are kept. @default SESSIONS_MAX */
  readonly sessionsMax?: number;
}

/** Sizes of batches whose sessions are kept, for training and for evaluation each. */
export const SESSIONS_MAX = 8;

/** Steps block the thread; after so long the event loop gets a turn, so that a cancellation is heard. */
const YIELD_AFTER_MS = 50;

/**
 * A trainer of a network.
 *
 * @throws StatusError `NETWORK_INVALID` saying what is wrong with the network, its initial values or its graph
 * @example
 * await using trainer = await createTrainer({ network, optimizer: adamW() });
 * const { loss } = await trainer.step({ x: { data, shape: [32, 784] }, labels: { data: classes, shape: [32] } });
 */
export async function createTrainer(options: TrainerOptions): Promise<Trainer> {
  await Promise.resolve();
  return new GraphTrainer(options);
}

class GraphTrainer implements Trainer {
  readonly #options: TrainerOptions;
  readonly #signature: ReturnType<typeof signatureOf>;
  readonly #state: NetworkState;
  readonly #training: SessionCache<TrainingPlan>;
  readonly #evaluation: SessionCache<EvaluationPlan>;
  readonly #schedule: Schedule;
  readonly #seed: bigint;
  #step = 0;
  #plateau: PlateauState | undefined;
  #digest: string | undefined;
  #yielded = performance.now();

  constructor(options: TrainerOptions) {
    const { network, optimizer, seed = 0, schedule = constantSchedule(), plateau, averageDecay, initial, dimensions, sessionsMax = SESSIONS_MAX } = options;
    this.#options = options;
    this.#seed = BigInt(seed);
    this.#schedule = schedule;
    this.#plateau = plateau?.initial;
    this.#signature = signatureOf(network, seed, dimensions);
    this.#state = new NetworkState({ signature: this.#signature, optimizer, ...(averageDecay !== undefined && { averageDecay }), ...(initial !== undefined && { initial }) });
    this.#training = new SessionCache(sessionsMax);
    this.#evaluation = new SessionCache(sessionsMax);
    if (dimensions !== undefined) this.#trainingPlan(dimensions);
  }

  get parameterCount(): number {
    return this.#state.arena.parameterCount;
  }

  get graphDigest(): string | undefined {
    return this.#digest;
  }

  prepare(batch: Feeds): string {
    return this.#trainingPlan(sizesOf(this.#signature.inputs, batch)).digest;
  }

  async step(batches: Feeds | readonly Feeds[]): Promise<StepResult> {
    await this.#breathe();
    const list = (Array.isArray(batches) ? batches : [batches]) as readonly Feeds[];
    if (list.length === 0) throw new StatusError("INPUT_MISSING", "a step needs at least one batch");
    const sizes = list.map((batch) => sizesOf(this.#signature.inputs, batch));
    const weights = weightsOf(sizes);
    const { arena } = this.#state;
    const { optimizer, clipNorm, clipValue } = this.#options;
    const step = this.#step + 1;
    const learningRate = optimizer.learningRate * this.#schedule(this.#step) * (this.#plateau?.factor ?? 1);
    arena.clearRows();
    this.#state.beginBuffers();
    let loss = 0;
    list.forEach((batch, index) => {
      const weight = weights[index] ?? 1;
      loss += weight * this.#trainingPlan(sizes[index] ?? {}).run(batch, { step, index, weight });
    });
    const gradientNorm = arena.gradientNorm();
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) return { step: this.#step, loss, gradientNorm, learningRate, applied: false };
    if (clipValue !== undefined) arena.clampGradients(clipValue);
    const length = clipNorm === undefined || clipValue === undefined ? gradientNorm : arena.gradientNorm();
    // Source of the 1e-6: torch.nn.utils.clip_grad_norm_.
    const gradientScale = clipNorm === undefined ? 1 : Math.min(1, clipNorm / (length + 1e-6));
    arena.update({ step, learningRate, gradientScale });
    this.#state.commitBuffers();
    this.#step = step;
    return { step, loss, gradientNorm, learningRate, applied: true };
  }

  async evaluate(batch: Feeds): Promise<Evaluation> {
    await this.#breathe();
    const { network, threads = 1 } = this.#options;
    const { inputs } = this.#signature;
    const dimensions = { ...this.#options.dimensions, ...sizesOf(inputs, batch) };
    return this.#evaluation.get(keyOf(dimensions), () => new EvaluationPlan({ network, state: this.#state, inputs, dimensions, threads })).run(batch);
  }

  observe(metric: number): void {
    const { plateau } = this.#options;
    if (plateau !== undefined && this.#plateau !== undefined) this.#plateau = plateau.observe(this.#plateau, metric);
  }

  weights(): ReadonlyMap<string, Float32Array> {
    return this.#state.weights();
  }

  save(): Snapshot {
    const { name, settings } = this.#options.optimizer;
    const frozen = this.#state.frozenDigest;
    return {
      tensors: this.#state.save(),
      state: { step: this.#step, seed: String(this.#seed), optimizer: { name, ...settings }, ...(frozen !== undefined && { frozen }), ...(this.#plateau !== undefined && { plateau: this.#plateau }) },
    };
  }

  restore({ tensors, state }: Snapshot): void {
    const { step, seed, optimizer, plateau, frozen } = state as { step?: unknown; seed?: unknown; optimizer?: { name?: unknown }; plateau?: PlateauState; frozen?: unknown };
    if (!Number.isSafeInteger(step) || (step as number) < 0) throw new StatusError("CHECKPOINT_INCOMPATIBLE", `the checkpoint's step is ${JSON.stringify(step)}`);
    if (seed !== String(this.#seed)) throw new StatusError("CHECKPOINT_INCOMPATIBLE", `the checkpoint is of seed ${JSON.stringify(seed)}, the trainer has ${this.#seed}`);
    if (optimizer?.name !== this.#options.optimizer.name) throw new StatusError("CHECKPOINT_INCOMPATIBLE", `the checkpoint is of optimizer ${JSON.stringify(optimizer?.name)}, the trainer has "${this.#options.optimizer.name}"`);
    if (frozen !== this.#state.frozenDigest) throw new StatusError("CHECKPOINT_INCOMPATIBLE", "the checkpoint stands on other frozen parameters than the network has: begin from the same base model");
    this.#state.restore(tensors);
    this.#step = step as number;
    this.#plateau = plateau ?? this.#options.plateau?.initial;
  }

  export(network: Network = this.#options.network): Uint8Array {
    const weights = this.weights();
    const scope = new Scope({ mode: "infer", seed: this.#seed, weights: (name) => weights.get(name) });
    const { outputs } = built(network, scope);
    return buildModel({ graph: scope.graph, name: "servable_training", outputs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.resolve();
    this.#training.clear();
    this.#evaluation.clear();
  }

  #trainingPlan(sizes: Readonly<Record<string, number>>): TrainingPlan {
    const dimensions = { ...this.#options.dimensions, ...sizes };
    const { network, threads = 1 } = this.#options;
    const plan = this.#training.get(keyOf(dimensions), () => new TrainingPlan({ network, state: this.#state, inputs: this.#signature.inputs, dimensions, threads, seed: this.#seed }));
    this.#digest ??= plan.digest;
    return plan;
  }

  async #breathe(): Promise<void> {
    if (performance.now() - this.#yielded < YIELD_AFTER_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#yielded = performance.now();
  }
}

function keyOf(dimensions: Readonly<Record<string, number>>): string {
  return Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, size]) => `${name}=${size}`).join();
}

/** Parts of a step's batches: by their rows, so that several batches give what one of all their rows would. */
function weightsOf(sizes: readonly Readonly<Record<string, number>>[]): number[] {
  const rows = sizes.map(({ batch = 1 }) => batch);
  const total = rows.reduce((sum, count) => sum + count, 0);
  return rows.map((count) => count / total);
}
