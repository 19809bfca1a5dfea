// All numbers of a training lie in one memory: [parameters | average | state of the optimiser | gradients]. What runs the graph
// reads parameters and writes gradients there without a copy, and the optimiser is one call of a WebAssembly function that
// changes them in place: 0.8 ns for each parameter of a small network, where a loop in JavaScript takes 9.
//
// I1  Each tensor begins at a multiple of 64 bytes; the numbers between the end of one and the next are 0 in every region and
//     stay so, because no optimiser moves a parameter of 0 with a gradient of 0. Kernels run over them, so they have no remainder.
// I2  The memory never grows: its views stay valid.

import { instantiate, wasmMemory, type WasmExports, type WasmMemory } from "./kernel/machine.ts";
import { encodeModule } from "./kernel/wasm-module.ts";
import { loopOf, sumOfSquares, type Kernel } from "./kernel/lanes.ts";
import type { Optimizer, StepContext } from "./optimizer.ts";
import { RowGradient } from "./row-gradient.ts";

/** A tensor that the arena is to hold. */
export interface ArenaTensor {
  readonly name: string;
  /** Numbers in it. */
  readonly size: number;
  /** Whether decay and penalties apply. @default true */
  readonly decay?: boolean;
}

/** How an arena is made. */
export interface ArenaOptions {
  readonly tensors: readonly ArenaTensor[];
  readonly optimizer: Optimizer;
  /** Keeps an exponential moving average of parameters: average += (parameter - average)·(1 - averageDecay). */
  readonly averageDecay?: number;
}

/** An update of all parameters. */
export interface ArenaStep {
  /** 1 for the first step. */
  readonly step: number;
  readonly learningRate: number;
  /** Gradients are multiplied by it first. @default 1 */
  readonly gradientScale?: number;
}

const ALIGN = 16;
/** WebAssembly addresses have 32 bits. */
const BYTES_MAX = 2 ** 32;

interface Placed {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** `size` with the zeros behind it. */
  readonly padded: number;
  readonly decay: boolean;
  rows?: RowGradient;
}

/** Parameters, gradients and state of an optimiser in one memory. */
export class Arena {
  readonly optimizer: Optimizer;
  readonly memory: WasmMemory;
  readonly #placed: readonly Placed[];
  readonly #byName: ReadonlyMap<string, Placed>;
  /** Numbers in a region. */
  readonly #length: number;
  readonly #regions: readonly string[];
  readonly #averageDecay: number | undefined;
  readonly #kernels: WasmExports;

  /** @throws RangeError when the arena would take more than 4 GiB, or a name comes twice */
  constructor({ tensors, optimizer, averageDecay }: ArenaOptions) {
    this.optimizer = optimizer;
    this.#averageDecay = averageDecay;
    // Tensors that are treated alike lie together, so that one call updates them.
    const ordered = [...tensors.filter(({ decay }) => decay !== false), ...tensors.filter(({ decay }) => decay === false)];
    let offset = 0;
    this.#placed = ordered.map(({ name, size, decay = true }) => {
      const placed = { name, offset, size, padded: Math.ceil(size / ALIGN) * ALIGN, decay };
      offset += placed.padded;
      return placed;
    });
    this.#byName = new Map(this.#placed.map((placed) => [placed.name, placed]));
    if (this.#byName.size !== tensors.length) throw new RangeError("two tensors of an arena have the same name");
    this.#length = offset;
    this.#regions = ["parameter", ...(averageDecay === undefined ? [] : ["average"]), ...optimizer.slots.map((slot) => `slot/${slot}`), "gradient"];
    const bytes = this.#regions.length * this.#length * 4;
    if (bytes >= BYTES_MAX) throw new RangeError(`${this.#regions.length} × ${this.#length} numbers take ${(bytes / 2 ** 30).toFixed(1)} GiB, an arena holds less than 4: freeze parameters, or take an optimizer with less state`);
    this.memory = wasmMemory(bytes);
    this.#kernels = compile(optimizer, this.memory);
  }

  /** Numbers of all parameters. */
  get parameterCount(): number {
    return this.#placed.reduce((sum, { size }) => sum + size, 0);
  }

  /** Views of the arena: copy what must last. */
  parameter(name: string): Float32Array<ArrayBuffer> {
    return this.#view("parameter", this.#find(name));
  }

  /** Where the gradient of a step is put before {@link update}. */
  gradient(name: string): Float32Array<ArrayBuffer> {
    return this.#view("gradient", this.#find(name));
  }

  /** State of the optimiser. */
  slot(slot: string, name: string): Float32Array<ArrayBuffer> {
    return this.#view(`slot/${slot}`, this.#find(name));
  }

  /** Undefined where no average is kept. */
  average(name: string): Float32Array<ArrayBuffer> | undefined {
    return this.#averageDecay === undefined ? undefined : this.#view("average", this.#find(name));
  }

  /** Adds weight·rows to rows of a table's gradient, which otherwise is 0 in this step. */
  addRows(name: string, indices: Int32Array, rows: Float32Array, weight = 1): void {
    const placed = this.#find(name);
    const rowLength = rows.length / indices.length;
    placed.rows ??= new RowGradient(this.gradient(name), rowLength);
    placed.rows.add(indices, rows, weight);
  }

  /** Forgets rows of the step before. Dense gradients are overwritten by the caller. */
  clearRows(): void {
    for (const { rows } of this.#placed) rows?.clear();
  }

  /** Euclidean length of all gradients together; NaN or infinite where one of them is. */
  gradientNorm(): number {
    const { sumOfSquares: sum, sumOfMany } = this.#kernels as { sumOfSquares: (pointer: number, count: number) => number; sumOfMany: (pointer: number, count: number) => number };
    let total = 0;
    for (const [from, count] of this.#gradientRuns()) total += (count % ALIGN === 0 ? sumOfMany : sum)(this.#address("gradient", from), count);
    return Math.sqrt(total);
  }

  /** Limits each number of the gradients to ± bound. */
  clampGradients(bound: number): void {
    const clamp = this.#kernels["clamp"] as (pointer: number, count: number, bound: number) => void;
    for (const [from, count] of this.#gradientRuns()) clamp(this.#address("gradient", from), count, bound);
  }

  /** One step of the optimiser over all parameters. */
  update({ step, learningRate, gradientScale = 1 }: ArenaStep): void {
    const contexts = { decay: { step, learningRate, gradientScale, decay: true }, plain: { step, learningRate, gradientScale, decay: false } };
    for (let at = 0; at < this.#placed.length; at++) {
      const first = this.#placed[at] as Placed;
      const context = first.decay ? contexts.decay : contexts.plain;
      if (first.rows?.active === true) {
        this.#updateRows(first, first.rows, context);
        continue;
      }
      first.rows?.touchAll();
      let count = first.padded;
      if (!this.optimizer.perTensor) {
        for (let next = this.#placed[at + 1]; next !== undefined && next.decay === first.decay && next.rows?.active !== true; next = this.#placed[at + 1]) {
          count += next.padded;
          at++;
        }
      }
      this.#run("update", first.offset, count, context);
    }
    if (this.#averageDecay !== undefined) this.#updateAverage(step, this.#averageDecay);
  }

  /** Takes note of state that was written from outside, e.g. a checkpoint's. */
  restored(): void {
    for (const { name, rows } of this.#placed) rows?.restoreState(this.optimizer.slots.map((slot) => this.slot(slot, name)));
  }

  #updateRows({ name, offset }: Placed, rows: RowGradient, context: StepContext): void {
    const { rowLength } = rows;
    const { idle, perTensor, settings } = this.optimizer;
    if (perTensor || rowLength % 4 !== 0) {
      // The kernel needs the gradient of the whole table.
      const gradient = this.gradient(name);
      for (const [from, to] of rows.idleRuns(false)) gradient.fill(0, from * rowLength, to * rowLength);
      this.#run("update", offset, this.#find(name).padded, context);
      return;
    }
    for (const [from, to] of rows.touchedRuns()) this.#run("update", offset + from * rowLength, (to - from) * rowLength, context);
    const moved = context.decay && (settings["l1"] !== 0 || settings["l2"] !== 0 || idle === "changed");
    if (idle === "unchanged" && !moved) return;
    for (const [from, to] of rows.idleRuns(!moved)) this.#run("updateIdle", offset + from * rowLength, (to - from) * rowLength, context);
  }

  #run(kernel: "update" | "updateIdle", from: number, count: number, context: StepContext): void {
    const { slots, scalars, finish } = this.optimizer;
    const addresses = { parameter: this.#address("parameter", from), gradient: this.#address("gradient", from), slots: slots.map((slot) => this.#address(`slot/${slot}`, from)), count };
    (this.#kernels[kernel] as (...args: number[]) => number)(addresses.parameter, addresses.gradient, ...addresses.slots, count, ...scalars(context));
    finish?.(this.#kernels, addresses, context);
  }

  #updateAverage(step: number, decay: number): void {
    // The first average is the first result itself, as torch.optim.swa_utils.AveragedModel has it.
    const blend = this.#kernels["average"] as (average: number, parameter: number, count: number, blend: number) => void;
    blend(this.#address("average", 0), this.#address("parameter", 0), this.#length, step === 1 ? 1 : 1 - decay);
  }

  /** Stretches of gradients that this step has: [offset, count]. */
  *#gradientRuns(): Generator<readonly [number, number]> {
    let start = 0;
    for (const { offset, padded, rows } of this.#placed) {
      if (rows?.active !== true) continue;
      if (rows.rowLength % 4 !== 0) {
        // Rows are no whole vectors: the rest of the table takes part as zeros.
        const gradient = this.#float32("gradient", offset, padded);
        for (const [from, to] of rows.idleRuns(false)) gradient.fill(0, from * rows.rowLength, to * rows.rowLength);
        continue;
      }
      if (offset > start) yield [start, offset - start];
      for (const [from, to] of rows.touchedRuns()) yield [offset + from * rows.rowLength, (to - from) * rows.rowLength];
      start = offset + padded;
    }
    if (this.#length > start) yield [start, this.#length - start];
  }

  #find(name: string): Placed {
    const placed = this.#byName.get(name);
    if (placed === undefined) throw new RangeError(`the arena has no tensor "${name}"`);
    return placed;
  }

  #view(region: string, { offset, size }: Placed): Float32Array<ArrayBuffer> {
    return this.#float32(region, offset, size);
  }

  #float32(region: string, offset: number, size: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.memory.buffer, this.#address(region, offset), size);
  }

  #address(region: string, offset: number): number {
    return (this.#regions.indexOf(region) * this.#length + offset) * 4;
  }
}

const CLAMP: Kernel = {
  arrays: ["gradient"],
  scalars: ["bound"],
  body: (lanes) => lanes.store("gradient", lanes.max(lanes.min(lanes.load("gradient"), lanes.scalar("bound")), lanes.sub(lanes.constant(0), lanes.scalar("bound")))),
};

const AVERAGE: Kernel = {
  arrays: ["average", "parameter"],
  scalars: ["blend"],
  body: (lanes) => {
    const average = lanes.load("average");
    lanes.store("average", lanes.add(average, lanes.mul(lanes.sub(lanes.load("parameter"), average), lanes.scalar("blend"))));
  },
};

const SUBTRACT: Kernel = {
  arrays: ["parameter", "gradient"],
  scalars: ["rate"],
  body: (lanes) => lanes.store("parameter", lanes.sub(lanes.load("parameter"), lanes.mul(lanes.load("gradient"), lanes.scalar("rate")))),
};

function compile({ kernel }: Optimizer, memory: WasmMemory): WasmExports {
  return instantiate(
    encodeModule([loopOf("update", kernel), loopOf("updateIdle", kernel, ["gradient"]), loopOf("clamp", CLAMP), loopOf("average", AVERAGE), loopOf("subtract", SUBTRACT), sumOfSquares("sumOfSquares", 1), sumOfSquares("sumOfMany", ALIGN / 4)]),
    memory,
  );
}
