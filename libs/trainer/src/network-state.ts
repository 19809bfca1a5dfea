// What a network remembers: trained parameters in the optimiser's arena, frozen ones and buffers beside it. Sessions of all
// batch sizes read the same memory.

import { createHash } from "node:crypto";
import { StatusError } from "@servable/errors";
import { Arena, type Optimizer } from "@servable/optim";
import { elementCount } from "@servable/tensor";
import ort from "onnxruntime-node";
import { invalid, type NetworkSignature } from "./network-signature.ts";
import type { OrtTensors } from "./ort-session.ts";
import type { Snapshot } from "./trainer.ts";

/** How state is made. */
export interface NetworkStateOptions {
  readonly signature: NetworkSignature;
  readonly optimizer: Optimizer;
  readonly averageDecay?: number;
  /** Values to begin with instead of the network's own, by name. */
  readonly initial?: ReadonlyMap<string, Float32Array>;
}

/** Parameters, buffers and the optimiser's state. */
export class NetworkState {
  readonly arena: Arena;
  /** Buffers as a step leaves them, until it is known whether it counts. */
  readonly pendingBuffers = new Map<string, Float32Array>();
  readonly #signature: NetworkSignature;
  /** Frozen parameters and buffers. */
  readonly #fixed = new Map<string, Float32Array>();
  readonly #averaged: boolean;
  #frozenDigest: string | undefined;

  /** @throws StatusError `NETWORK_INVALID` when nothing is trainable, it takes more than an arena holds, or initial values do not fit */
  constructor({ signature, optimizer, averageDecay, initial = new Map() }: NetworkStateOptions) {
    this.#signature = signature;
    this.#averaged = averageDecay !== undefined;
    const trainable = signature.parameters.filter((parameter) => parameter.trainable);
    if (trainable.length === 0) throw invalid("none of its parameters is trainable");
    try {
      this.arena = new Arena({ optimizer, ...(averageDecay !== undefined && { averageDecay }), tensors: trainable.map(({ name, shape, decay }) => ({ name, decay, size: elementCount(shape) })) });
    } catch (error) {
      if (error instanceof RangeError) throw invalid(error.message, error);
      throw error;
    }
    const all = [...signature.parameters, ...signature.buffers];
    for (const name of initial.keys()) if (!all.some((each) => each.name === name)) throw invalid(`initial values are given for "${name}", which it does not have; it has ${all.slice(0, 20).map((each) => each.name).join(", ")}`);
    for (const { name, shape, initial: compute } of all) {
      const values = initial.get(name) ?? compute();
      if (values.length !== elementCount(shape)) throw invalid(`"${name}" takes ${elementCount(shape)} numbers ([${shape.join()}]), its initial values are ${values.length}`);
      if (trainable.some((each) => each.name === name)) this.arena.parameter(name).set(values);
      else this.#fixed.set(name, values.slice());
    }
    for (const { name, shape } of signature.buffers) this.pendingBuffers.set(name, new Float32Array(elementCount(shape)));
    this.#startAverage();
  }

  /** Current values of a parameter or buffer; of an averaged parameter where `averaged`. */
  values(name: string, averaged = false): Float32Array {
    return this.#fixed.get(name) ?? (averaged ? this.arena.average(name) : undefined) ?? this.arena.parameter(name);
  }

  /** All values, averaged where an average is kept. */
  weights(): Map<string, Float32Array> {
    return new Map([...this.#signature.parameters, ...this.#signature.buffers].map(({ name }) => [name, this.values(name, true)]));
  }

  /** Inputs of a training graph: buffers are those of the step under way. */
  trainingInputs(): OrtTensors {
    return this.#inputs((name) => this.pendingBuffers.get(name) ?? this.values(name));
  }

  /** Inputs of an evaluation. */
  evaluationInputs(): OrtTensors {
    return this.#inputs((name) => this.values(name, true));
  }

  /** Before the first batch of a step. */
  beginBuffers(): void {
    for (const [name, pending] of this.pendingBuffers) pending.set(this.values(name));
  }

  /** After a step that counts. */
  commitBuffers(): void {
    for (const [name, pending] of this.pendingBuffers) this.values(name).set(pending);
  }

  /** SHA-256 of the frozen parameters, which snapshots leave out: a small adapter may stand on a large model. */
  get frozenDigest(): string | undefined {
    const frozen = this.#signature.parameters.filter(({ trainable }) => !trainable);
    if (frozen.length === 0) return undefined;
    this.#frozenDigest ??= frozen.reduce((hash, { name }) => hash.update(name).update(this.values(name)), createHash("sha256")).digest("hex");
    return this.#frozenDigest;
  }

  /** A copy of everything that steps change. */
  save(): Snapshot["tensors"] {
    return new Map(this.#entries().map(({ key, shape, data }) => [key, { shape, data: data.slice() }]));
  }

  /** @throws StatusError `CHECKPOINT_INCOMPATIBLE`, with nothing changed */
  restore(tensors: Snapshot["tensors"]): void {
    const entries = this.#entries();
    for (const { key, shape, data } of entries) {
      const saved = tensors.get(key);
      if (saved === undefined) throw new StatusError("CHECKPOINT_INCOMPATIBLE", `the checkpoint lacks "${key}"; it holds ${[...tensors.keys()].slice(0, 20).join(", ")}`);
      if (saved.shape.join() !== shape.join() || saved.data.length !== data.length) throw new StatusError("CHECKPOINT_INCOMPATIBLE", `"${key}" has the shape [${saved.shape.join()}] in the checkpoint and [${shape.join()}] in the network`);
    }
    for (const { key, data } of entries) data.set(tensors.get(key)?.data ?? []);
    this.arena.restored();
  }

  #inputs(valuesOf: (name: string) => Float32Array): OrtTensors {
    return Object.fromEntries([...this.#signature.parameters, ...this.#signature.buffers].map(({ name, shape }) => [name, new ort.Tensor("float32", valuesOf(name), shape)]));
  }

  #entries(): { key: string; shape: readonly number[]; data: Float32Array }[] {
    const { parameters, buffers } = this.#signature;
    const trainable = parameters.filter((parameter) => parameter.trainable);
    const entryOf = (prefix: string, { name, shape }: { name: string; shape: readonly number[] }, data = this.values(name)) => ({ key: `${prefix}/${name}`, shape, data });
    return [
      ...trainable.map((each) => entryOf("parameter", each)),
      ...buffers.map((each) => entryOf("buffer", each)),
      ...this.arena.optimizer.slots.flatMap((slot) => trainable.map((each) => entryOf(`optimizer/${slot}`, each, this.arena.slot(slot, each.name)))),
      ...(this.#averaged ? trainable.map((each) => entryOf("average", each, this.arena.average(each.name))) : []),
    ];
  }

  #startAverage(): void {
    for (const { name, trainable } of this.#signature.parameters) if (trainable) this.arena.average(name)?.set(this.arena.parameter(name));
  }
}
