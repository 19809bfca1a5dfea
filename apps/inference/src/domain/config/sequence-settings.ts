import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ModelSequenceBatching_Control_Kind as ControlKind, type ModelConfig, type ModelSequenceBatching_Control, type ModelSequenceBatching_State } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { SequenceStrategy } from "@servable/scheduling";
import { checkByteCount, elementBytes, elementCount, tensorOf, type Datatype, type Tensor } from "@servable/tensor";
import { DATATYPE_OF } from "./complete-model-config.ts";
import type { Signature, TensorSpec } from "./signature.ts";

/** An input by which the server tells the model where a request stands in its sequence. */
export interface ControlInput {
  readonly input: TensorSpec;
  readonly kind: "start" | "ready" | "end" | "id";
  /** Bytes of one element for false and for true; ids have none. */
  readonly falseTrue: readonly [Uint8Array, Uint8Array] | undefined;
}

/** A tensor that the server keeps for each sequence. */
export interface SequenceState {
  readonly inputName: string;
  readonly outputName: string;
  /** Its value when a sequence begins, without the batch dimension. */
  readonly initial: Tensor;
}

/** How a model's sequences are served. */
export interface SequenceSettings {
  readonly strategy: SequenceStrategy;
  readonly slotsPerInstance: number;
  readonly maxIdleUs: number;
  /** Sequences known at once. */
  readonly sequencesMax: number;
  readonly controls: readonly ControlInput[];
  readonly states: readonly SequenceState[];
}

/** Sequences that a model may have in progress, waiting ones included, unless its settings say otherwise. */
const SEQUENCES_MAX_DEFAULT = 4_096;
/** The setting that says otherwise. */
export const SEQUENCES_MAX_PARAMETER = "servable.sequences_max";
const SEQUENCE_IDLE_US_DEFAULT = 1_000_000;

/**
 * Reads `sequence_batching` of a configuration that was checked against the graph.
 *
 * @param folder where the version's files are; initial states stand in its `initial_state/`
 * @throws StatusError `FIELD_INVALID` naming the field
 */
export async function readSequenceSettings(config: ModelConfig, graph: Signature, folder: string): Promise<SequenceSettings> {
  if (config.schedulingChoice.case !== "sequenceBatching") throw new TypeError(`${config.name} has no sequence_batching`);
  const { maxSequenceIdleMicroseconds, controlInput, strategyChoice, state, iterativeSequence } = config.schedulingChoice.value;
  if (iterativeSequence) throw invalid("iterative_sequence", "is not served: a model of onnxruntime cannot ask to see a request again");
  const rows = Math.max(1, config.maxBatchSize);
  const controls = controlInput.map(({ name, control }, index) => controlOf(specOf(graph.inputs, name), control, `control_input[${index}]`, config.maxBatchSize > 0));
  const kindTwice = controls.find(({ kind }, index) => controls.findIndex((other) => other.kind === kind) !== index);
  if (kindTwice !== undefined) throw invalid("control_input", `tells "${kindTwice.kind}" twice`);
  const states = await Promise.all(state.map((each, index) => stateOf(each, specOf(graph.inputs, each.inputName), `state[${index}]`, config.maxBatchSize > 0, folder)));
  const common = { maxIdleUs: Number(maxSequenceIdleMicroseconds) || SEQUENCE_IDLE_US_DEFAULT, sequencesMax: sequencesMaxOf(config), controls, states };
  if (strategyChoice.case !== "oldest") {
    const { maxQueueDelayMicroseconds = 0n, minimumSlotUtilization = 0 } = strategyChoice.value ?? {};
    return { ...common, slotsPerInstance: rows, strategy: { kind: "direct", maxQueueDelayUs: Number(maxQueueDelayMicroseconds), minimumSlotUtilization } };
  }
  const { maxCandidateSequences, preferredBatchSize, maxQueueDelayMicroseconds } = strategyChoice.value;
  if (maxCandidateSequences < 1) throw invalid("oldest.max_candidate_sequences", `must be 1 or more, is ${maxCandidateSequences}`);
  return { ...common, slotsPerInstance: maxCandidateSequences, strategy: { kind: "oldest", maxBatchSize: rows, preferredBatchSizes: preferredBatchSize, maxQueueDelayUs: Number(maxQueueDelayMicroseconds) } };
}

const KINDS: Readonly<Record<ControlKind, ControlInput["kind"]>> = {
  [ControlKind.CONTROL_SEQUENCE_START]: "start",
  [ControlKind.CONTROL_SEQUENCE_READY]: "ready",
  [ControlKind.CONTROL_SEQUENCE_END]: "end",
  [ControlKind.CONTROL_SEQUENCE_CORRID]: "id",
};
const ID_DATATYPES: readonly Datatype[] = ["INT32", "UINT32", "INT64", "UINT64", "BYTES"];

function controlOf(input: TensorSpec, controls: readonly ModelSequenceBatching_Control[], field: string, isBatched: boolean): ControlInput {
  const [control] = controls;
  if (control === undefined || controls.length > 1) throw invalid(`${field}.control`, `of "${input.name}" must be exactly one`);
  const wide = (isBatched ? input.shape.slice(1) : input.shape).find((dimension) => dimension > 1);
  if (wide !== undefined) throw invalid(field, `"${input.name}" has the shape [${input.shape.join(", ")}], a control has one element${isBatched ? " a row" : ""}`);
  const kind = KINDS[control.kind];
  if (kind === "id") {
    const datatype = DATATYPE_OF.get(control.dataType);
    if (datatype === undefined || !ID_DATATYPES.includes(datatype)) throw invalid(`${field}.control[0].data_type`, `must be an integer of 32 or 64 bits or TYPE_STRING`);
    expectDatatype(input, datatype, `${field}.control[0].data_type`);
    return { input, kind, falseTrue: undefined };
  }
  const { int32FalseTrue, fp32FalseTrue, boolFalseTrue } = control;
  const given = [["INT32", int32FalseTrue, "int32_false_true"], ["FP32", fp32FalseTrue, "fp32_false_true"], ["BOOL", boolFalseTrue, "bool_false_true"]] as const;
  const [said, ...others] = given.filter(([, values]) => values.length > 0);
  if (said === undefined || others.length > 0) throw invalid(`${field}.control[0]`, `of "${input.name}" needs one of int32_false_true, fp32_false_true, bool_false_true`);
  const [datatype, values, name] = said;
  if (values.length !== 2) throw invalid(`${field}.control[0].${name}`, `needs two values, has ${values.length}`);
  expectDatatype(input, datatype, `${field}.control[0].${name}`);
  const bytes = (value: number | boolean | undefined): Uint8Array => tensorOf(datatype, [1], [value], name).data;
  return { input, kind, falseTrue: [bytes(values[0]), bytes(values[1])] };
}

async function stateOf({ inputName, outputName, dataType, dims, initialState }: ModelSequenceBatching_State, input: TensorSpec, field: string, isBatched: boolean, folder: string): Promise<SequenceState> {
  const datatype = DATATYPE_OF.get(dataType);
  if (datatype === undefined) throw invalid(`${field}.data_type`, `of "${inputName}" is missing`);
  expectDatatype(input, datatype, `${field}.data_type`);
  const [initial, ...others] = initialState;
  if (others.length > 0) throw invalid(`${field}.initial_state`, `of "${inputName}" must be one`);
  if (initial !== undefined && initial.dataType !== dataType) throw invalid(`${field}.initial_state[0].data_type`, `differs from the state's`);
  // A size that varies begins at 1, as Triton has it, unless the initial state says otherwise.
  const shape = (initial?.dims ?? dims).map((dimension) => (dimension === -1n ? 1 : Number(dimension)));
  const wanted = isBatched ? input.shape.slice(1) : input.shape;
  if (wanted.length !== shape.length || wanted.some((want, axis) => want !== -1 && want !== shape[axis])) {
    throw invalid(`${field}.dims`, `[${shape.join(", ")}] do not fit "${inputName}" of the graph, which takes [${wanted.join(", ")}]`);
  }
  const file = initial?.stateData.case === "dataFile" ? initial.stateData.value : undefined;
  const data = file === undefined ? zerosOf(datatype, shape) : await readInitialState(folder, file, `${field}.initial_state[0].data_file`);
  const tensor = { datatype, shape, data };
  checkByteCount(tensor, `initial state ${file ?? ""} of "${inputName}"`);
  return { inputName, outputName, initial: tensor };
}

/** A tensor of zeros, or of empty texts. */
export function zerosOf(datatype: Datatype, shape: readonly number[]): Uint8Array {
  return new Uint8Array(elementCount(shape) * (elementBytes(datatype) ?? 4)); // an empty text is four bytes of length
}

async function readInitialState(folder: string, file: string, field: string): Promise<Uint8Array> {
  if (file.split(/[/\\]/).includes("..")) throw invalid(field, `must stay in the folder initial_state`);
  try {
    return await readFile(join(folder, "initial_state", file));
  } catch (error) {
    throw invalid(field, `there is no file initial_state/${file}`, error);
  }
}

function sequencesMaxOf({ parameters }: ModelConfig): number {
  const text = parameters[SEQUENCES_MAX_PARAMETER]?.stringValue;
  if (text === undefined) return SEQUENCES_MAX_DEFAULT;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new StatusError("FIELD_INVALID", `parameters.${SEQUENCES_MAX_PARAMETER} must be a whole number from 1 on, is "${text}"`, { metadata: { field: `parameters.${SEQUENCES_MAX_PARAMETER}` } });
  return value;
}

function specOf(specs: readonly TensorSpec[], name: string): TensorSpec {
  const found = specs.find((spec) => spec.name === name);
  if (found === undefined) throw invalid("control_input", `the graph has no input "${name}"`);
  return found;
}

function expectDatatype({ name, datatype }: TensorSpec, wanted: Datatype, field: string): void {
  if (datatype !== wanted) throw invalid(field, `"${name}" of the graph is ${datatype}, not ${wanted}`);
}

function invalid(field: string, why: string, cause?: unknown): StatusError {
  return new StatusError("FIELD_INVALID", `sequence_batching.${field}: ${why}`, { metadata: { field: `sequence_batching.${field}` }, ...(cause === undefined ? {} : { cause }) });
}
