import { createHash } from "node:crypto";
import { invalid, ortTensorOf } from "./network-signature.ts";
import type { Network } from "@servable/nn";
import type { Value } from "@servable/onnx";
import { randomMasks, type RandomMasks } from "@servable/optim";
import { elementCount } from "@servable/tensor";
import ort from "onnxruntime-node";
import type { NetworkState } from "./network-state.ts";
import { createOrtSession, type OrtSession, type OrtTensors } from "./ort-session.ts";
import { buildTrainingGraph, type TrainingGraph } from "./training-graph.ts";
import type { Feeds } from "./trainer.ts";

/** What a plan is made for. */
export interface TrainingPlanOptions {
  readonly network: Network;
  readonly state: NetworkState;
  readonly inputs: readonly Value[];
  readonly dimensions: Readonly<Record<string, number>>;
  readonly threads: number;
  readonly seed: bigint;
}

/** Which batch a plan runs. */
export interface BatchPosition {
  /** 1 for the first step. */
  readonly step: number;
  /** Place among the batches of the step. */
  readonly index: number;
  /** What its loss and gradients count for; all batches of a step together 1. */
  readonly weight: number;
}

/** Forward and backward pass for batches of one size: the session, and its inputs and outputs bound to the state's memory. */
export class TrainingPlan {
  /** SHA-256 of the model's bytes. */
  readonly digest: string;
  readonly nodeCount: number;
  readonly #graph: TrainingGraph;
  readonly #session: OrtSession;
  readonly #state: NetworkState;
  readonly #inputs: readonly Value[];
  readonly #seed: bigint;
  readonly #masks: RandomMasks;
  readonly #feeds: OrtTensors;
  readonly #fetches: Readonly<Record<string, ort.Tensor | null>>;
  /** Outputs that become buffers: not the arrays that the same run reads. */
  readonly #nextBuffers = new Map<string, Float32Array>();
  /** Dense gradients, and what a second batch of a step writes before it is added. */
  readonly #dense: { readonly gradient: Float32Array; readonly output: string }[] = [];

  /** @throws StatusError `NETWORK_INVALID` */
  constructor({ network, state, inputs, dimensions, threads, seed }: TrainingPlanOptions) {
    const graph = buildTrainingGraph(network, dimensions);
    this.#graph = graph;
    this.#state = state;
    this.#inputs = inputs;
    this.#seed = seed;
    this.digest = createHash("sha256").update(graph.model).digest("hex");
    this.nodeCount = graph.nodeCount;
    this.#masks = randomMasks(graph.masks.map(({ name, shape, rate }) => ({ name, rate, size: elementCount(shape) })));
    this.#feeds = state.trainingInputs();
    for (const { name, shape } of graph.masks) this.#feeds[name] = new ort.Tensor("float32", this.#masks.masks.get(name) as Float32Array, shape);
    const fetches: Record<string, ort.Tensor | null> = { [graph.loss]: null };
    const shapeOf = new Map(Object.entries(this.#feeds).map(([name, { dims }]) => [name, dims]));
    for (const [name, outputs] of graph.gradients) {
      if (outputs.kind === "rows") {
        fetches[outputs.indices] = fetches[outputs.rows] = null;
        continue;
      }
      // Written where the optimiser reads it: onnxruntime copies every output once anyway, this spares the second copy.
      const gradient = state.arena.gradient(name);
      fetches[outputs.value] = new ort.Tensor("float32", gradient, shapeOf.get(name) ?? []);
      this.#dense.push({ gradient, output: outputs.value });
    }
    for (const [name, output] of graph.buffers) {
      const next = new Float32Array(state.values(name).length);
      this.#nextBuffers.set(name, next);
      fetches[output] = new ort.Tensor("float32", next, shapeOf.get(name) ?? []);
    }
    this.#fetches = fetches;
    try {
      this.#session = createOrtSession(graph.model, { threads, nodeCount: graph.nodeCount });
    } catch (error) {
      throw invalid(`onnxruntime does not accept its graph: ${(error as Error).message.slice(0, 500)}`, error);
    }
  }

  /** Runs a batch and leaves its gradients in the arena, added to those of the step's batches before. Gives the loss. */
  run(batch: Feeds, { step, index, weight }: BatchPosition): number {
    this.#masks.fill(this.#seed, step, index);
    for (const input of this.#inputs) this.#feeds[input.name] = ortTensorOf(input, batch[input.name] as Feeds[string]);
    const before = index > 0 ? this.#dense.map(({ gradient }) => gradient.slice()) : [];
    const results = this.#session.run(this.#feeds, this.#fetches);
    this.#dense.forEach(({ gradient }, at) => accumulate(gradient, before[at], weight));
    for (const [name, outputs] of this.#graph.gradients) {
      if (outputs.kind === "rows") this.#state.arena.addRows(name, results[outputs.indices]?.data as Int32Array, results[outputs.rows]?.data as Float32Array, weight);
    }
    for (const [name, next] of this.#nextBuffers) this.#state.pendingBuffers.get(name)?.set(next);
    return (results[this.#graph.loss]?.data as Float32Array)[0] as number;
  }

  release(): void {
    this.#session.release();
  }
}

function accumulate(gradient: Float32Array, before: Float32Array | undefined, weight: number): void {
  if (before === undefined) {
    if (weight !== 1) for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] as number) * weight;
    return;
  }
  for (let i = 0; i < gradient.length; i++) gradient[i] = (before[i] as number) + (gradient[i] as number) * weight;
}
