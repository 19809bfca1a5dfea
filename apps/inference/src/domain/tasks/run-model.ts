import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { typedArrayOf, type Tensor } from "@servable/tensor";
import type { InferContext } from "../executors/executor.ts";
import type { TensorSpec } from "../config/signature.ts";
import type { TaskModel } from "./task-model.ts";

/** Runs a model once, as any caller's request would be run. */
export async function runModel(model: TaskModel, inputs: readonly NamedTensor[], outputs: readonly string[], batchSize: number, context: InferContext): Promise<ReadonlyMap<string, Tensor>> {
  const result = await model.infer({ id: "", inputs, outputs, batchSize: model.maxBatchSize > 0 ? batchSize : 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined }, context);
  return new Map(result.outputs.map((output) => [output.name, output]));
}

/** One of a model's outputs as numbers, row-major. */
export function numbersOf(outputs: ReadonlyMap<string, Tensor>, name: string): { shape: readonly number[]; values: Float32Array } {
  const tensor = outputs.get(name);
  if (tensor === undefined) throw new StatusError("INTERNAL", `the model answered no "${name}"`);
  if (tensor.datatype === "FP32") return { shape: tensor.shape, values: typedArrayOf(tensor) as Float32Array };
  if (!["FP16", "FP64", "UINT8", "INT8", "INT32"].includes(tensor.datatype)) throw new StatusError("TASK_MANIFEST_INVALID", `the output "${name}" is ${tensor.datatype}, which holds no scores`, { metadata: { field: "output" } });
  return { shape: tensor.shape, values: Float32Array.from(typedArrayOf(tensor) as Float64Array) };
}

/** The input or output that a manifest names, else the one there is. `field` stands in the complaint. @throws StatusError `TASK_MANIFEST_INVALID` */
export function pickTensor(model: TaskModel, kind: "inputs" | "outputs", name: string | undefined, field: string, usual: readonly string[] = []): TensorSpec {
  const specs = model.signature[kind];
  const found = name === undefined ? (specs.length === 1 ? specs[0] : usual.map((each) => specs.find((spec) => spec.name === each)).find((spec) => spec !== undefined)) : specs.find((spec) => spec.name === name);
  if (found !== undefined) return found;
  const there = specs.map((spec) => spec.name).join(", ");
  throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: ${field} ${name === undefined ? "is missing" : `is "${name}"`}: the ${kind} of '${model.name}' are ${there}`, { metadata: { field } });
}

/** How many elements one request may hold: what the configuration says, what the graph says, or a bound. */
export function batchMax(model: TaskModel, input: TensorSpec, bound: number): number {
  const fixed = input.shape[0] ?? 1;
  if (fixed > 0) return fixed;
  return model.maxBatchSize > 0 ? Math.min(model.maxBatchSize, bound) : bound;
}

/** Does work on parts side by side, at most `width` at a time, and answers in the order of the parts. */
export async function eachOf<T, R>(parts: readonly T[], width: number, work: (part: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(parts.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < parts.length) {
      const index = next++;
      results[index] = await work(parts[index] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, parts.length) }, worker));
  return results;
}
