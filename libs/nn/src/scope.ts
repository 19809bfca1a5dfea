// One network, three graphs. A function that builds a network in a scope is called once for training, once for evaluation and
// once for serving: the scope knows which, hands out parameters by name, and keeps the list of what a trainer has to feed.

import type { Datatype, Tensor } from "@servable/tensor";
import { Graph, GraphError, type Dimension, type Value } from "@servable/onnx";
import { randomStream, type RandomStream } from "./random.ts";

/** What the graph is for: `train` has dropout and batch statistics, `eval` has neither but knows targets, `infer` is what is served. */
export type Mode = "train" | "eval" | "infer";

/** First values of a parameter of this shape. */
export type Initializer = (shape: readonly number[], random: RandomStream) => Float32Array;

/** How a parameter is treated beside its gradient. */
export interface ParameterOptions {
  /** Frozen parameters get no gradient. @default true */
  readonly trainable?: boolean;
  /** Whether weight decay applies. @default for matrices and kernels, not for biases and scales (rank below 2) */
  readonly decay?: boolean;
}

/** A parameter that a network asked for; a graph input in modes `train` and `eval`. */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly trainable: boolean;
  readonly decay: boolean;
  readonly value: Value;
  /** Computes the first values, a new array each time: a large network need not hold them twice. */
  readonly initial: () => Float32Array;
}

/** State that steps write without a gradient, e.g. running means. */
export interface BufferSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly value: Value;
  readonly initial: () => Float32Array;
  /** What the buffer holds after a step; unset in modes other than `train`. */
  next?: Value;
}

/** Random numbers that a step is fed, so that step k is the same in every process (training-mode operators of onnxruntime are not). */
export interface MaskSpec {
  /** Stream of the counter-based generator. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly value: Value;
  /** Chance of a 0; the others are 1/(1-rate). */
  readonly rate: number;
}

/** How a scope is made. */
export interface ScopeOptions {
  readonly mode: Mode;
  /** Seed of the first values. @default 0 */
  readonly seed?: number | bigint;
  /** Sizes of named dimensions, e.g. `{ batch: 32 }`; the others stay named. */
  readonly dimensions?: Readonly<Record<string, number>>;
  /** Values of parameters and buffers, which then are constants of the graph: for a model that is served. */
  readonly weights?: (name: string) => Float32Array | undefined;
  /** @default a new one */
  readonly graph?: Graph;
}

interface Collected {
  readonly parameters: Map<string, ParameterSpec>;
  readonly buffers: Map<string, BufferSpec>;
  readonly masks: Map<string, MaskSpec>;
  readonly penalties: Value[];
}

/**
 * Where a network is built.
 *
 * @example
 * const hidden = relu(nn.graph, linear(nn.child("fc1"), x, 128)); // parameters "fc1.weight" and "fc1.bias"
 */
export class Scope {
  readonly graph: Graph;
  readonly mode: Mode;
  readonly #options: ScopeOptions;
  readonly #prefix: string;
  readonly #collected: Collected;

  constructor(options: ScopeOptions, prefix = "", collected: Collected = { parameters: new Map(), buffers: new Map(), masks: new Map(), penalties: [] }) {
    this.#options = options;
    this.graph = options.graph ?? new Graph();
    this.mode = options.mode;
    this.#prefix = prefix;
    this.#collected = collected;
  }

  /** The same graph with "name." before the names of parameters. */
  child(name: string): Scope {
    return new Scope({ ...this.#options, graph: this.graph }, `${this.#prefix}${name}.`, this.#collected);
  }

  /** The size of a named dimension where it is known, else its name. */
  dimension(name: string): Dimension {
    return this.#options.dimensions?.[name] ?? name;
  }

  /** An input that callers feed; named dimensions take the sizes that the scope knows. */
  input(name: string, datatype: Datatype, shape: readonly Dimension[]): Value {
    return this.graph.input(name, datatype, shape.map((size) => (typeof size === "number" ? size : (this.#options.dimensions?.[size] ?? size))));
  }

  /** The parameter of that name, made at the first call: a second one shares it (tied weights). @throws GraphError when the shapes differ */
  parameter(name: string, shape: readonly number[], initialize: Initializer, { trainable = true, decay = shape.length > 1 }: ParameterOptions = {}): Value {
    const full = this.#prefix + name;
    const known = this.#collected.parameters.get(full);
    if (known !== undefined) {
      if (known.shape.join() !== shape.join()) throw new GraphError(`parameter "${full}" has shape [${known.shape.join()}] and is asked for as [${shape.join()}]`);
      return known.value;
    }
    const initial = (): Float32Array => initialize(shape, randomStream(this.#options.seed ?? 0, full));
    const value = this.#state(full, shape, initial);
    this.#collected.parameters.set(full, { name: full, shape, trainable, decay, value, initial });
    return value;
  }

  /** State that {@link setBuffer} changes, made at the first call. */
  buffer(name: string, shape: readonly number[], initialize: Initializer): Value {
    const full = this.#prefix + name;
    const known = this.#collected.buffers.get(full);
    if (known !== undefined) return known.value;
    const initial = (): Float32Array => initialize(shape, randomStream(this.#options.seed ?? 0, full));
    const value = this.#state(full, shape, initial);
    this.#collected.buffers.set(full, { name: full, shape, value, initial });
    return value;
  }

  /** What a buffer holds after a training step; has no effect in other modes. */
  setBuffer(name: string, next: Value): void {
    const spec = this.#collected.buffers.get(this.#prefix + name);
    if (spec === undefined) throw new GraphError(`there is no buffer "${this.#prefix}${name}"`);
    if (this.mode === "train") spec.next = next;
  }

  /** Zeros with chance `rate`, 1/(1-rate) elsewhere, drawn anew for each step: multiply by it. Only in mode `train`, with known sizes. */
  mask(name: string, shape: readonly Dimension[], rate: number): Value {
    const full = this.#prefix + name;
    if (this.mode !== "train") throw new GraphError(`mask "${full}": only a training graph has one`);
    const sizes = shape.map((size) => {
      if (typeof size !== "number") throw new GraphError(`mask "${full}": the size of "${size}" must be known`);
      return size;
    });
    const value = this.graph.input(full, "FP32", sizes);
    this.#collected.masks.set(full, { name: full, shape: sizes, value, rate });
    return value;
  }

  /** Adds a scalar to the loss of training, e.g. an L1 term. */
  addPenalty(value: Value): void {
    this.#collected.penalties.push(value);
  }

  get parameters(): ParameterSpec[] {
    return [...this.#collected.parameters.values()];
  }

  get buffers(): BufferSpec[] {
    return [...this.#collected.buffers.values()];
  }

  get masks(): MaskSpec[] {
    return [...this.#collected.masks.values()];
  }

  get penalties(): readonly Value[] {
    return this.#collected.penalties;
  }

  /** A constant where the caller gave values, else an input. An imported network reads weights where no node may stand before. */
  #state(name: string, shape: readonly number[], initial: () => Float32Array): Value {
    const weights = this.#options.weights;
    if (weights === undefined) return this.graph.input(name, "FP32", shape);
    const values = weights(name) ?? initial();
    const tensor: Tensor = { datatype: "FP32", shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
    return this.graph.weight(name, tensor);
  }
}

/** What a network gives: the loss that is descended, and the values that callers read. */
export interface NetworkOutputs {
  /** One number; a network in mode `infer` may have none. */
  readonly loss?: Value;
  readonly outputs: Readonly<Record<string, Value>>;
}

/** A network: builds itself in a scope, for whichever mode that has. */
export type Network = (nn: Scope) => NetworkOutputs;
