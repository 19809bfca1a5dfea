import { StatusError } from "@servable/errors";
import { BASELINES, type Baseline } from "@servable/explain";
import type { Tensor } from "@servable/tensor";
import type { ParameterValue } from "../executors/executor.ts";

/** How attributions are computed; the words of the infer parameter `explain`. */
export const EXPLAIN_METHODS = ["auto", "ig", "occlusion", "shapley"] as const;

/** A method by its word. */
export type ExplainMethod = (typeof EXPLAIN_METHODS)[number];

/** What is to be explained, and how. */
export interface ExplainOptions {
  readonly method: ExplainMethod;
  /** Undefined = the first output of real numbers. */
  readonly output: string | undefined;
  /** Undefined = the largest element's index. */
  readonly target: number | undefined;
  /** Empty = by the model's own inputs. */
  readonly inputs: readonly string[];
  /** Points of the path, or orders; undefined = the method's own choice. */
  readonly steps: number | undefined;
  /** "zero_embedding" = of token ids, an embedding of zeros. */
  readonly baseline: Baseline | "zero_embedding";
  readonly seed: number;
  /** Inputs whose baseline is not one of a kind, e.g. pad tokens between special ones. */
  readonly baselines?: ReadonlyMap<string, Tensor>;
}

/** Points of a path, or orders. */
export const EXPLAIN_STEPS_MAX = 1_024;

/** Options as the gRPC call states them: 0 and "" are defaults. @throws StatusError `FIELD_INVALID` naming the field */
export function explainOptionsOf(stated: { method: ExplainMethod; output: string; target: bigint | undefined; inputs: readonly string[]; steps: number; baseline: string; seed: bigint }): ExplainOptions {
  return {
    method: stated.method,
    output: stated.output === "" ? undefined : stated.output,
    target: stated.target === undefined ? undefined : indexOf("target", stated.target),
    inputs: stated.inputs,
    steps: stated.steps === 0 ? undefined : stepsOf("steps", stated.steps),
    baseline: baselineOf("baseline", stated.baseline),
    seed: Number(BigInt.asUintN(53, stated.seed)),
  };
}

/** Whether an infer request asks for an explanation. */
export const asksForExplanation = (parameters: { has(key: string): boolean }): boolean => parameters.has("explain");

/** Options as parameters of an infer request state them. @throws StatusError `FIELD_INVALID` naming the parameter */
export function explainOptionsOfParameters(parameters: ReadonlyMap<string, ParameterValue>): ExplainOptions {
  const text = (key: string): string | undefined => {
    const value = parameters.get(key);
    if (value === undefined || typeof value === "string") return value;
    throw invalid(`parameters.${key}`, "must be a text");
  };
  const whole = (key: string): bigint | undefined => {
    const value = parameters.get(key);
    if (value === undefined || typeof value === "bigint") return value;
    if (typeof value === "string" && /^-?\d{1,18}$/.test(value)) return BigInt(value);
    throw invalid(`parameters.${key}`, "must be a whole number");
  };
  const method = text("explain") ?? "auto";
  if (!(EXPLAIN_METHODS as readonly string[]).includes(method)) throw invalid("parameters.explain", `is "${method.slice(0, 40)}": it must be ${EXPLAIN_METHODS.join(", ")}`);
  const [target, steps] = [whole("explain_target"), whole("explain_steps")];
  const baseline = parameters.get("explain_baseline");
  return {
    method: method as ExplainMethod,
    output: text("explain_output"),
    target: target === undefined ? undefined : indexOf("parameters.explain_target", target),
    inputs: text("explain_inputs")?.split(",").map((name) => name.trim()).filter((name) => name !== "") ?? [],
    steps: steps === undefined ? undefined : stepsOf("parameters.explain_steps", Number(steps)),
    baseline: baselineOf("parameters.explain_baseline", baseline === undefined ? "" : String(baseline)),
    seed: Number(BigInt.asUintN(53, whole("explain_seed") ?? 0n)),
  };
}

function indexOf(field: string, value: bigint): number {
  if (value < 0n || value > 2n ** 31n) throw invalid(field, `is ${value}: it must be an index of the output, from 0 on`);
  return Number(value);
}

function stepsOf(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > EXPLAIN_STEPS_MAX) throw invalid(field, `is ${value}: it must be a whole number from 1 to ${EXPLAIN_STEPS_MAX}`);
  return value;
}

function baselineOf(field: string, text: string): ExplainOptions["baseline"] {
  if (text === "") return "zeros";
  if (text === "zero_embedding" || (BASELINES as readonly string[]).includes(text)) return text as Baseline;
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw invalid(field, `is "${text.slice(0, 40)}": it must be ${[...BASELINES, "zero_embedding"].join(", ")} or a number`);
}

function invalid(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
