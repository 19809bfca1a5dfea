import { StatusError } from "@servable/errors";

/** What a parameter can be set to. A list is one choice, e.g. the units of hidden layers. */
export type ParameterValue = number | string | boolean | readonly (number | string)[];

/** A parameter counts only where its parent has one of these values. */
export interface Condition {
  readonly parameter: string;
  readonly oneOf: readonly ParameterValue[];
}

interface Named {
  readonly name: string;
  /** All must hold, and the parents themselves must count; absent = always. */
  readonly when?: readonly Condition[];
}

/** A number from `low` to `high`, both included. */
export interface NumericParameter extends Named {
  readonly kind: "float" | "int";
  readonly low: number;
  readonly high: number;
  /** Whether equal ratios are equally far apart; `low` must be above 0. @default false */
  readonly log?: boolean;
  /** Values are `low`, `low + step`, … . @default none for a float, 1 for an int */
  readonly step?: number;
}

/** One of a list without an order. */
export interface CategoricalParameter extends Named {
  readonly kind: "categorical";
  readonly choices: readonly ParameterValue[];
}

/** One dimension of a search space. */
export type Parameter = NumericParameter | CategoricalParameter;

/** Choices of one parameter: more is a slip, and each costs a kernel's row. */
export const CHOICES_MAX = 1_000;

/** The distance between neighbours; 0 for a continuous parameter. */
export function stepOf({ kind, step }: NumericParameter): number {
  return step ?? (kind === "int" ? 1 : 0);
}

/** The largest value: `high`, or the last step below it. */
export function lastValueOf(parameter: NumericParameter): number {
  const step = stepOf(parameter);
  if (step === 0) return parameter.high;
  // A billionth of a step of tolerance: (0.3 - 0) / 0.1 is 2.9999999999999996, and 3 × 0.1 is above 0.3.
  return Math.min(parameter.high, parameter.low + Math.floor((parameter.high - parameter.low) / step + 1e-9) * step);
}

/** The nearest value that the parameter can take. */
export function nearestValue(parameter: NumericParameter, value: number): number {
  const step = stepOf(parameter);
  const last = lastValueOf(parameter);
  const stepped = step === 0 ? value : parameter.low + Math.round((value - parameter.low) / step) * step;
  return Math.min(last, Math.max(parameter.low, stepped));
}

/** Whether only one value is possible, so that there is nothing to search. */
export function isSingle(parameter: Parameter): boolean {
  return parameter.kind === "categorical" ? parameter.choices.length === 1 : lastValueOf(parameter) === parameter.low;
}

/** Whether two values are the same, lists by their members. */
export function sameValue(a: ParameterValue, b: ParameterValue): boolean {
  return a === b || (Array.isArray(a) && Array.isArray(b) && JSON.stringify(a) === JSON.stringify(b));
}

/** Whether a parameter can take a value; steps are held to a billionth. */
export function containsValue(parameter: Parameter, value: ParameterValue): boolean {
  if (parameter.kind === "categorical") return parameter.choices.some((choice) => sameValue(choice, value));
  if (typeof value !== "number" || !(value >= parameter.low && value <= parameter.high)) return false;
  return Math.abs(nearestValue(parameter, value) - value) <= 1e-9 * Math.max(1, Math.abs(value));
}

/**
 * The value at a share of the parameter's range, so that a uniform share gives each value its due: the outer steps are as
 * wide as the inner ones.
 *
 * @param share from 0 to below 1
 */
export function valueAt(parameter: Parameter, share: number): ParameterValue {
  if (parameter.kind === "categorical") {
    return parameter.choices[Math.min(parameter.choices.length - 1, Math.floor(share * parameter.choices.length))] as ParameterValue;
  }
  const [low, high] = searchedRange(parameter);
  const scaled = low + share * (high - low);
  return nearestValue(parameter, parameter.log === true ? Math.exp(scaled) : scaled);
}

/** The range as samplers see it: half a step wider on both sides, and its logarithm where the parameter is logarithmic. */
export function searchedRange(parameter: NumericParameter): readonly [low: number, high: number] {
  const half = stepOf(parameter) / 2;
  const low = parameter.low - half;
  const high = lastValueOf(parameter) + half;
  return parameter.log === true ? [Math.log(low), Math.log(high)] : [low, high];
}

/** @throws StatusError `FIELD_INVALID` naming the parameter and what is wrong */
export function checkParameter(parameter: Parameter): void {
  const wrong = (problem: string): StatusError =>
    new StatusError("FIELD_INVALID", `parameter "${parameter.name}" ${problem}`, { metadata: { field: "parameters", parameter: parameter.name } });
  if (parameter.kind === "categorical") {
    if (parameter.choices.length === 0) throw wrong("has no choices: give at least one");
    if (parameter.choices.length > CHOICES_MAX) throw wrong(`has ${parameter.choices.length} choices, at most ${CHOICES_MAX} are allowed`);
    if (new Set(parameter.choices.map((choice) => JSON.stringify(choice))).size < parameter.choices.length) throw wrong("has a choice twice");
    return;
  }
  const { kind, low, high, log = false, step } = parameter;
  if (!Number.isFinite(low) || !Number.isFinite(high)) throw wrong(`reaches from ${low} to ${high}: both must be finite numbers`);
  if (low > high) throw wrong(`reaches from ${low} to ${high}: low must not be above high`);
  if (kind === "int" && ![low, high, step ?? 1].every(Number.isSafeInteger)) throw wrong("is an int: low, high and step must be whole numbers");
  if (step !== undefined && !(step > 0 && Number.isFinite(step))) throw wrong(`has step ${step}: it must be above 0`);
  if (log && low <= 0) throw wrong(`is logarithmic and begins at ${low}: low must be above 0`);
  if (log && step !== undefined && !(kind === "int" && step === 1)) throw wrong("is logarithmic and has a step: leave one of them out");
}
