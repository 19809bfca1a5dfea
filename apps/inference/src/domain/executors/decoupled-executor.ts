// Decoupled models of ONNX graphs. A graph runs once and then is done, so its answers are the rows of its outputs: one answer
// for each element along an axis, in order, which a model may space out in time.

import { setTimeout as delay } from "node:timers/promises";
import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { elementsOf, splitAxis } from "@servable/tensor";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import type { Signature } from "../config/signature.ts";
import { WrappedExecutor } from "./wrapped-executor.ts";

/** How a run's outputs become answers. */
export interface DecoupledSettings {
  /** The axis whose elements are the answers. */
  readonly axis: number;
  /** The input or output that says how many milliseconds pass before each answer. */
  readonly delay: { readonly role: "input" | "output"; readonly name: string } | undefined;
}

/** The setting of a decoupled model, as JSON: `axis`, and one of `delay_input`, `delay_output`. */
export const DECOUPLED_PARAMETER = "servable.decoupled";
/** The longest pause before one answer. */
const DELAY_MS_MAX = 600_000;

/** Whether requests may have any number of answers. */
export function isDecoupled({ modelTransactionPolicy }: ModelConfig): boolean {
  return modelTransactionPolicy?.decoupled === true;
}

/**
 * Reads the settings of a decoupled model.
 *
 * @throws StatusError `FIELD_INVALID` for settings that are no JSON of this form, or name what the graph does not have
 */
export function readDecoupledSettings({ parameters }: ModelConfig, { inputs, outputs }: Signature): DecoupledSettings {
  const text = parameters[DECOUPLED_PARAMETER]?.stringValue ?? "{}";
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (error) {
    throw invalid(`is no JSON: ${(error as Error).message}`);
  }
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw invalid("must be a JSON object");
  const { axis = 0, delay_input, delay_output, ...others } = given as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw invalid(`has the unknown key "${unknown}": it takes axis, delay_input, delay_output`);
  if (typeof axis !== "number" || !Number.isInteger(axis) || axis < 0) throw invalid(`has the axis ${JSON.stringify(axis)}: it must be a whole number from 0 on`);
  const flat = outputs.find(({ shape }) => shape.length <= axis);
  if (flat !== undefined) throw invalid(`has the axis ${axis}, which the output "${flat.name}" with the shape [${flat.shape.join(", ")}] does not have`);
  if (delay_input !== undefined && delay_output !== undefined) throw invalid("has both delay_input and delay_output: one is enough");
  const role = delay_input === undefined ? "output" : "input";
  const name = delay_input ?? delay_output;
  if (name === undefined) return { axis, delay: undefined };
  const spec = (role === "input" ? inputs : outputs).find((each) => each.name === name);
  if (spec === undefined) throw invalid(`names the ${role} ${JSON.stringify(name)}, which the graph does not have`);
  if (spec.datatype === "BYTES" || spec.datatype === "BOOL") throw invalid(`names the ${role} "${spec.name}", whose ${spec.datatype} elements are no milliseconds`);
  return { axis, delay: { role, name: spec.name } };
}

/** Answers each request with the rows of one run of another executor. */
export class DecoupledExecutor extends WrappedExecutor {
  readonly #settings: DecoupledSettings;

  constructor(inner: Executor, settings: DecoupledSettings) {
    super(inner);
    this.#settings = settings;
  }

  /** Refused: there is no telling how many answers there would be. */
  infer(): Promise<InferResult> {
    return Promise.reject(new StatusError("UNIMPLEMENTED", "ModelInfer RPC doesn't support models with decoupled transaction policy"));
  }

  async *inferStream(request: InferRequest, context: InferContext): AsyncGenerator<InferResult> {
    const { axis, delay: spacing } = this.#settings;
    const needsDelays = spacing?.role === "output" && request.outputs.length > 0 && !request.outputs.includes(spacing.name);
    const { outputs, timings, ...rest } = await this.inner.infer(needsDelays ? { ...request, outputs: [...request.outputs, spacing.name] } : request, context);
    const delaysMs = this.#delaysMs(request, outputs);
    const wanted = needsDelays ? outputs.filter(({ name }) => name !== spacing.name) : outputs;
    const answers = rowsAlong(axis, wanted);
    for (const [index, row] of answers.entries()) {
      await pause(delaysMs[index] ?? 0, context.signal);
      yield { ...rest, outputs: row, timings: index === 0 ? timings : { ...timings, queueNs: 0, inputNs: 0, inferNs: 0, outputNs: 0, countsExecution: false }, isFinal: index === answers.length - 1 };
    }
  }

  #delaysMs({ inputs }: InferRequest, outputs: readonly NamedTensor[]): number[] {
    const { delay: spacing } = this.#settings;
    const tensor = spacing === undefined ? undefined : (spacing.role === "input" ? inputs : outputs).find(({ name }) => name === spacing.name);
    if (tensor === undefined) return [];
    return elementsOf(tensor, tensor.name).map((element) => {
      const ms = Number(element);
      if (!(ms >= 0 && ms <= DELAY_MS_MAX)) throw new StatusError("VALUE_OUT_OF_RANGE", `${tensor.name}: ${ms} is no delay: send 0 to ${DELAY_MS_MAX} milliseconds`, { metadata: { input: tensor.name } });
      return ms;
    });
  }
}

function rowsAlong(axis: number, outputs: readonly NamedTensor[]): NamedTensor[][] {
  const count = outputs[0]?.shape[axis] ?? 0;
  const rows: NamedTensor[][] = Array.from({ length: count }, () => []);
  for (const output of outputs) {
    if (output.shape[axis] !== count) {
      throw new StatusError("INFERENCE_FAILED", `output '${output.name}' has the shape [${output.shape.join(",")}]: all outputs of a decoupled model need ${count} elements along axis ${axis}, as '${outputs[0]?.name ?? ""}' has`);
    }
    for (const [index, part] of splitAxis(output, axis, rows.map(() => 1)).entries()) rows[index]?.push({ name: output.name, ...part });
  }
  return rows;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw StatusError.from(signal.reason);
  if (ms === 0) return;
  try {
    await delay(ms, undefined, { signal });
  } catch {
    throw StatusError.from(signal.reason);
  }
}

function invalid(why: string): StatusError {
  return new StatusError("FIELD_INVALID", `parameters["${DECOUPLED_PARAMETER}"] ${why}`, { metadata: { field: `parameters.${DECOUPLED_PARAMETER}` } });
}
