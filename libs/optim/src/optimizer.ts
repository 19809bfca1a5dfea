// An optimiser is a description: which state it keeps for each number, what one step does to a lane of four of them, and the
// same in plain TypeScript. The arena compiles the first and tests hold it against the second.

import type { Kernel, Lane, Lanes } from "./kernel/lanes.ts";
import type { WasmExports } from "./kernel/machine.ts";

/** Where a step stands. */
export interface StepContext {
  /** 1 for the first step. */
  readonly step: number;
  readonly learningRate: number;
  /** Gradients are multiplied by this first: clipping by norm costs no pass of its own. */
  readonly gradientScale: number;
  /** Whether decay and penalties apply to this tensor. */
  readonly decay: boolean;
}

/** A tensor of the arena by addresses in bytes; counts are multiples of 4. */
export interface TensorAddress {
  readonly parameter: number;
  readonly gradient: number;
  readonly slots: readonly number[];
  readonly count: number;
}

/** The same step without WebAssembly: arrays of one tensor, every operation rounded to f32. */
export type ReferenceStep = (parameter: Float32Array, gradient: Float32Array, slots: readonly Float32Array[], context: StepContext) => void;

/** An optimiser with its settings; made by `adam()`, `sgd()` and the others. */
export interface Optimizer {
  readonly name: string;
  readonly learningRate: number;
  /** All settings, as a record of a run keeps them. */
  readonly settings: Readonly<Record<string, number | boolean>>;
  /** State for each number of a parameter by name, zeros at the start. */
  readonly slots: readonly string[];
  /** The update of a lane. Arrays: "parameter", "gradient", then the slots. */
  readonly kernel: Kernel;
  /** The kernel's scalars in its order. */
  readonly scalars: (context: StepContext) => readonly number[];
  /** Whether a tensor is more than its numbers (norms over it): the update then comes tensor by tensor. */
  readonly perTensor: boolean;
  /** What a step does to a number whose gradient is 0: nothing at all, nothing while its state is 0 too, or something. */
  readonly idle: "unchanged" | "unchanged without state" | "changed";
  /** Set where one pass of the kernel is not all. */
  readonly finish?: (kernels: WasmExports, tensor: TensorAddress, context: StepContext) => void;
  readonly reference: ReferenceStep;
}

/** Penalties that are part of the gradient, on tensors with decay. */
export interface PenaltyOptions {
  /** λ of λ/2·Σp²: λ·p joins the gradient. PyTorch's `weight_decay` of SGD, Adam, RMSprop and Adagrad. @default 0 */
  readonly l2?: number;
  /** λ of λ·Σ|p|: λ·sign(p) joins the gradient. @default 0 */
  readonly l1?: number;
}

const f = Math.fround;

/** Scaled gradient with penalties; operations for absent penalties are not emitted. */
export function penalizedGradient(lanes: Lanes, parameter: Lane, { l1 = 0, l2 = 0 }: PenaltyOptions): Lane {
  let gradient = lanes.mul(lanes.load("gradient"), lanes.scalar("gradientScale"));
  if (l2 !== 0) gradient = lanes.add(gradient, lanes.mul(lanes.scalar("l2"), parameter));
  if (l1 !== 0) gradient = lanes.add(lanes.keep(gradient), lanes.mul(lanes.scalar("l1"), lanes.sign(parameter)));
  return lanes.keep(gradient);
}

/** Names of the scalars that {@link penalizedGradient} reads. */
export const PENALTY_SCALARS = ["gradientScale", "l1", "l2"] as const;

/** Their values. */
export function penaltyScalars({ l1 = 0, l2 = 0 }: PenaltyOptions, { gradientScale, decay }: StepContext): number[] {
  return [gradientScale, decay ? l1 : 0, decay ? l2 : 0];
}

/** {@link penalizedGradient} of one number. */
export function penalizedNumber(gradient: number, parameter: number, { l1 = 0, l2 = 0 }: PenaltyOptions, { gradientScale, decay }: StepContext): number {
  let result = f(gradient * f(gradientScale));
  if (l2 !== 0) result = f(result + f(f(decay ? l2 : 0) * parameter));
  if (l1 !== 0) result = f(result + f(f(decay ? l1 : 0) * Math.sign(parameter)));
  return result;
}

/** Refuses settings that no optimiser can use. @throws RangeError naming the setting */
export function checkSettings(name: string, settings: Readonly<Record<string, number | boolean>>): void {
  for (const [key, value] of Object.entries(settings)) {
    if (typeof value === "boolean") continue;
    if (!Number.isFinite(value) || value < 0) throw new RangeError(`${name}: ${key} is ${value}; it must be a finite number from 0 on`);
    if (/^(beta\d|momentum|smoothing)$/.test(key) && value >= 1) throw new RangeError(`${name}: ${key} is ${value}; it must be below 1`);
  }
}
