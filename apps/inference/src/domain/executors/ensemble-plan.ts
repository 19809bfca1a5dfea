// An ensemble is a flow of tensors with names of its own: a step runs when its inputs are there, and what it writes others
// read. What does not fit is found when the ensemble is loaded, not when somebody calls it.

import type { ModelConfig, ModelEnsembling_Step } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { clientSignatureOf } from "../config/model-config.ts";
import type { TensorSpec } from "../config/signature.ts";
import { stepTypesOf, type StepModel, type StepReference } from "./pipeline-models.ts";
import { compatibleShapes } from "../config/tensor-types.ts";

/** One step of a checked ensemble. */
export interface EnsembleStep extends StepReference {
  /** Ensemble tensor by input of the model. */
  readonly inputs: ReadonlyMap<string, string>;
  /** Ensemble tensor by output of the model. */
  readonly outputs: ReadonlyMap<string, string>;
  readonly isDecoupled: boolean;
}

/** The models that an ensemble names. */
export function ensembleReferences(config: ModelConfig): StepReference[] {
  return stepsOf(config).map(({ modelName, modelVersion }) => ({ model: modelName, version: modelVersion <= 0n ? "" : String(modelVersion) }));
}

/**
 * The steps of an ensemble in an order in which each finds its inputs.
 *
 * @param modelOf the loaded model of a step
 * @throws StatusError `FIELD_INVALID` naming the step and the tensor: names that the model does not have, tensors that nobody
 * or more than one writes, datatypes or shapes that differ, cycles
 */
export function planEnsemble(config: ModelConfig, modelOf: (reference: StepReference) => StepModel): EnsembleStep[] {
  const signature = clientSignatureOf(config);
  const writers = new Map<string, { by: string; spec: TensorSpec }>();
  for (const spec of signature.inputs) writers.set(spec.name, { by: "the caller", spec });
  const references = ensembleReferences(config);
  const steps = stepsOf(config).map((step, index) => {
    const reference = references[index] as StepReference;
    const model = modelOf(reference);
    const { outputs } = stepTypesOf(model);
    const where = `step[${index}]`;
    for (const [output, tensor] of Object.entries(step.outputMap)) {
      const spec = outputs.find(({ name }) => name === output);
      if (spec === undefined) throw invalid(config, `${where}.output_map`, `'${step.modelName}' gives no '${output}', only ${namesOf(outputs)}`);
      const other = writers.get(tensor);
      if (other !== undefined) throw invalid(config, `${where}.output_map`, `the tensor '${tensor}' is written by '${step.modelName}' and by ${other.by}`);
      writers.set(tensor, { by: `'${step.modelName}'`, spec });
    }
    if (Object.keys(step.outputMap).length === 0) throw invalid(config, `${where}.output_map`, `nothing of '${step.modelName}' is used: map at least one output`);
    const isDecoupled = model.spec.config.modelTransactionPolicy?.decoupled === true;
    if (isDecoupled && config.modelTransactionPolicy?.decoupled !== true) throw invalid(config, where, `'${step.modelName}' is decoupled, so the ensemble must be: set model_transaction_policy.decoupled`);
    return { ...reference, inputs: new Map(Object.entries(step.inputMap)), outputs: new Map(Object.entries(step.outputMap)), isDecoupled };
  });
  for (const [index, step] of steps.entries()) checkInputs(config, index, step, modelOf(step), writers);
  for (const output of signature.outputs) {
    const writer = writers.get(output.name);
    if (writer === undefined) throw invalid(config, "output", `no step writes the ensemble's output '${output.name}'`);
    checkType(config, "output", output, `the ensemble's output '${output.name}'`, writer);
  }
  const order = ordered(config, steps, signature.inputs.map(({ name }) => name));
  checkDecoupled(config, order);
  return order;
}

/** Whether a step reads what another one writes. */
export function reads(step: EnsembleStep, writer: EnsembleStep): boolean {
  const tensors = new Set(step.inputs.values());
  return [...writer.outputs.values()].some((tensor) => tensors.has(tensor));
}

/** Those of some steps, given in order, that read what one writes, directly or through others. */
export function readersOf(writer: EnsembleStep, steps: readonly EnsembleStep[]): EnsembleStep[] {
  const readers: EnsembleStep[] = [];
  for (const step of steps) if (reads(step, writer) || readers.some((reader) => reads(step, reader))) readers.push(step);
  return readers;
}

/** Answers of one decoupled step cannot be paired with those of another, unless one follows the other. */
function checkDecoupled(config: ModelConfig, steps: readonly EnsembleStep[]): void {
  let rest = steps;
  for (let first = rest.find(({ isDecoupled }) => isDecoupled); first !== undefined; first = rest.find(({ isDecoupled }) => isDecoupled)) {
    const readers = readersOf(first, rest.slice(rest.indexOf(first) + 1));
    const beside = rest.find((step) => step.isDecoupled && step !== first && !readers.includes(step));
    if (beside !== undefined) throw invalid(config, "step", `'${first.model}' and '${beside.model}' are decoupled and neither reads what the other writes: nobody could say which of their answers belong together`);
    rest = readers;
  }
}

function checkInputs(config: ModelConfig, index: number, step: EnsembleStep, model: StepModel, writers: ReadonlyMap<string, { by: string; spec: TensorSpec }>): void {
  const { inputs } = stepTypesOf(model);
  const field = `step[${index}].input_map`;
  const missing = inputs.find(({ name, optional }) => !optional && !step.inputs.has(name));
  if (missing !== undefined) throw invalid(config, field, `the input '${missing.name}' of '${step.model}' is mapped to no tensor`);
  for (const [input, tensor] of step.inputs) {
    const spec = inputs.find(({ name }) => name === input);
    if (spec === undefined) throw invalid(config, field, `'${step.model}' takes no '${input}', only ${namesOf(inputs)}`);
    const writer = writers.get(tensor);
    if (writer === undefined) throw invalid(config, field, `nobody writes the tensor '${tensor}' that '${step.model}' reads as '${input}'`);
    checkType(config, field, spec, `'${input}' of '${step.model}'`, writer);
  }
}

function checkType(config: ModelConfig, field: string, wanted: TensorSpec, reader: string, { by, spec }: { by: string; spec: TensorSpec }): void {
  if (spec.datatype !== wanted.datatype) throw invalid(config, field, `${reader} is ${wanted.datatype}, ${by} writes ${spec.datatype}`);
  if (!compatibleShapes(spec.shape, wanted.shape)) throw invalid(config, field, `${reader} has the shape [${wanted.shape.join(", ")}], ${by} writes [${spec.shape.join(", ")}]`);
}

/** Kahn's algorithm; what is left over stands in a cycle. Source: Kahn, Topological sorting of large networks (1962). */
function ordered(config: ModelConfig, steps: readonly EnsembleStep[], given: readonly string[]): EnsembleStep[] {
  const known = new Set(given);
  const order: EnsembleStep[] = [];
  let rest = [...steps];
  while (rest.length > 0) {
    const runnable = rest.filter(({ inputs }) => [...inputs.values()].every((tensor) => known.has(tensor)));
    if (runnable.length === 0) throw invalid(config, "step", `steps wait for each other in a circle: ${rest.map(({ model }) => `'${model}'`).join(", ")}`);
    for (const step of runnable) for (const tensor of step.outputs.values()) known.add(tensor);
    order.push(...runnable);
    rest = rest.filter((step) => !runnable.includes(step));
  }
  return order;
}

function stepsOf({ name, schedulingChoice }: ModelConfig): readonly ModelEnsembling_Step[] {
  if (schedulingChoice.case !== "ensembleScheduling") throw new TypeError(`${name} is no ensemble`);
  return schedulingChoice.value.step;
}

function namesOf(specs: readonly TensorSpec[]): string {
  return specs.map(({ name }) => `'${name}'`).join(", ");
}

function invalid({ name }: ModelConfig, field: string, why: string): StatusError {
  return new StatusError("FIELD_INVALID", `ensemble '${name}', ensemble_scheduling.${field}: ${why}`, { metadata: { field: `ensemble_scheduling.${field}` } });
}
