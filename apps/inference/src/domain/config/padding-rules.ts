import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { elementBytes, type Datatype } from "@servable/tensor";
import type { Signature, TensorSpec } from "./signature.ts";

/** Buckets of one axis. */
const BUCKETS_MAX = 64;

/** How an input of variable length is brought to one of a few lengths. */
export interface InputPadding {
  readonly input: string;
  /** Which dimension; never the batch's. */
  readonly axis: number;
  /** Lengths in ascending order; what is longer than the last one is not padded. */
  readonly buckets: readonly number[];
  /** The element that fills up. */
  readonly value: number;
  /** An input of ones where the data is and zeros where it was filled up; made by the server when the caller sends none. */
  readonly mask: string | undefined;
}

/** An output that is as long as an input was before it was padded. */
export interface OutputCut {
  readonly output: string;
  readonly axis: number;
  /** The input whose length it has. */
  readonly input: string;
}

/** What a version's configuration says about padding. */
export interface PaddingRules {
  readonly inputs: readonly InputPadding[];
  readonly outputs: readonly OutputCut[];
}

const INPUT_PREFIX = "servable.padding.";
const OUTPUT_PREFIX = "servable.unpad.";

/** Inputs that the server makes when a caller sends none. */
export function madeInputsOf(config: ModelConfig): readonly string[] {
  return Object.entries(config.parameters).flatMap(([key, { stringValue }]) => {
    if (!key.startsWith(INPUT_PREFIX)) return [];
    const { mask } = objectOf(key, stringValue);
    return typeof mask === "string" ? [mask] : [];
  });
}

/**
 * Reads `servable.padding.<input>` and `servable.unpad.<output>` of the configuration's parameters; undefined when there are
 * none.
 *
 * @throws StatusError `FIELD_INVALID` naming the parameter and what is wrong with it
 */
export function paddingRulesOf({ inputs, outputs }: Signature, config: ModelConfig): PaddingRules | undefined {
  const rules: { inputs: InputPadding[]; outputs: OutputCut[] } = { inputs: [], outputs: [] };
  for (const [key, { stringValue }] of Object.entries(config.parameters)) {
    if (key.startsWith(INPUT_PREFIX)) rules.inputs.push(inputPadding(key, inputs, stringValue));
    if (key.startsWith(OUTPUT_PREFIX)) rules.outputs.push(outputCut(key, outputs, stringValue));
  }
  for (const { output, input } of rules.outputs) {
    if (!rules.inputs.some((each) => each.input === input)) throw invalid(`${OUTPUT_PREFIX}${output}`, `"input" is "${input}", which is not padded`);
  }
  return rules.inputs.length === 0 ? undefined : rules;
}

function inputPadding(key: string, inputs: readonly TensorSpec[], text: string): InputPadding {
  const spec = specOf(key, key.slice(INPUT_PREFIX.length), inputs, "input");
  const { axis = 1, buckets, value = 0, mask, ...rest } = objectOf(key, text);
  refuseUnknown(key, rest);
  checkAxis(key, spec, axis);
  if (elementBytes(spec.datatype) === undefined) throw invalid(key, `"${spec.name}" is ${spec.datatype}: only numbers can be padded`);
  if (!Array.isArray(buckets) || buckets.length === 0 || buckets.length > BUCKETS_MAX || !buckets.every((each, index) => Number.isSafeInteger(each) && each > 0 && (index === 0 || each > buckets[index - 1]))) {
    throw invalid(key, `"buckets" must be 1 to ${BUCKETS_MAX} ascending lengths, e.g. [16,32,64]`);
  }
  if (typeof value !== "number") throw invalid(key, `"value" must be a number`);
  if (mask !== undefined) {
    if (typeof mask !== "string") throw invalid(key, `"mask" must be the name of an input`);
    const maskSpec = specOf(key, mask, inputs, "mask");
    if (!MASK_TYPES.has(maskSpec.datatype)) throw invalid(key, `the mask "${mask}" is ${maskSpec.datatype}: it must be one of ${[...MASK_TYPES].join(", ")}`);
  }
  return { input: spec.name, axis: axis as number, buckets: buckets as number[], value, mask };
}

function outputCut(key: string, outputs: readonly TensorSpec[], text: string): OutputCut {
  const spec = specOf(key, key.slice(OUTPUT_PREFIX.length), outputs, "output");
  const { axis = 1, input, ...rest } = objectOf(key, text);
  refuseUnknown(key, rest);
  checkAxis(key, spec, axis);
  if (typeof input !== "string") throw invalid(key, `"input" must name the padded input whose length the output has`);
  return { output: spec.name, axis: axis as number, input };
}

/** What a mask of ones and zeros can be made of. */
const MASK_TYPES: ReadonlySet<Datatype> = new Set(["BOOL", "UINT8", "INT8", "INT32", "INT64", "FP32", "FP64"]);

function specOf(key: string, name: string, specs: readonly TensorSpec[], what: string): TensorSpec {
  const spec = specs.find((each) => each.name === name);
  if (spec === undefined) throw invalid(key, `the model has no ${what} "${name}", only ${specs.map((each) => each.name).join(", ")}`);
  return spec;
}

function checkAxis(key: string, { name, shape }: TensorSpec, axis: unknown): void {
  if (typeof axis === "number" && Number.isInteger(axis) && axis >= 1 && axis < shape.length && shape[axis] === -1) return;
  throw invalid(key, `"axis" must be a variable dimension of "${name}" ([${shape.join(",")}]), counted from 1 behind the batch`);
}

function refuseUnknown(key: string, rest: Record<string, unknown>): void {
  const [first] = Object.keys(rest);
  if (first !== undefined) throw invalid(key, `"${first}" is not known`);
}

function objectOf(key: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below, with what it should be.
  }
  throw invalid(key, `it must be a JSON object such as {"axis":1,"buckets":[16,32,64]}`);
}

function invalid(key: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `parameters["${key}"]: ${problem}`, { metadata: { field: `parameters.${key}` } });
}
