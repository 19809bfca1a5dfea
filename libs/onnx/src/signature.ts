import { StatusError } from "@servable/errors";
import type { Datatype } from "@servable/tensor";
import { datatypeOf } from "./element-type.ts";
import type { ModelProto, ValueInfoProto } from "./gen/onnx/onnx_pb.js";

/** Header of one input or output. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** Dimensions; -1 = variable. */
  readonly shape: readonly number[];
  /** The graph's name of each variable dimension, "" where it has none. */
  readonly dimensionNames: readonly string[];
}

/** What a model takes and gives, in the graph's order. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * The signature of a model. Initialisers that old exporters also list as inputs are not inputs.
 *
 * @throws StatusError `MODEL_REFUSED` for inputs or outputs that are no tensors (sequences, maps) or of a datatype that no caller can send
 */
export function signatureOf(model: ModelProto): ModelSignature {
  const graph = model.graph;
  const initialised = new Set(graph?.initializer.map(({ name }) => name));
  return {
    inputs: (graph?.input ?? []).filter(({ name }) => !initialised.has(name)).map((value) => specOf(value, "input")),
    outputs: (graph?.output ?? []).map((value) => specOf(value, "output")),
  };
}

function specOf({ name, type }: ValueInfoProto, role: string): TensorSpec {
  const value = type?.value;
  if (value?.case !== "tensorType") {
    throw new StatusError("MODEL_REFUSED", `${role} "${name}" is a ${value?.case ?? "value without a type"}, only tensors can be served: export the model without it (for scikit-learn: zipmap off)`);
  }
  const datatype = datatypeOf(value.value.elemType);
  if (datatype === undefined) throw new StatusError("MODEL_REFUSED", `${role} "${name}" has the ONNX element type ${value.value.elemType}, which no caller can send`);
  const dimensions = value.value.shape?.dim ?? [];
  return {
    name,
    datatype,
    shape: dimensions.map(({ value: dim }) => (dim.case === "dimValue" && dim.value >= 0n ? Number(dim.value) : -1)),
    dimensionNames: dimensions.map(({ value: dim }) => (dim.case === "dimParam" ? dim.value : "")),
  };
}
