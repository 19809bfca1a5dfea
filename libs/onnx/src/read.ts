import { fromBinary } from "@bufbuild/protobuf";
import { StatusError } from "@servable/errors";
import { ModelProtoSchema, type ModelProto } from "./gen/onnx/onnx_pb.js";

/** Oldest default-domain opset that onnxruntime runs well. */
export const OPSET_MIN = 7;

/**
 * Reads an ONNX model.
 *
 * @throws StatusError `MODEL_NOT_ONNX` when the bytes are no model, or one without a graph, nodes or opset
 */
export function readModel(bytes: Uint8Array): ModelProto {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes);
  } catch (error) {
    throw new StatusError("MODEL_NOT_ONNX", "the file is no ONNX model: its bytes cannot be read as one; export the model to ONNX first", { cause: error });
  }
  const graph = model.graph;
  if (graph === undefined || graph.output.length === 0 || model.opsetImport.length === 0) {
    throw new StatusError("MODEL_NOT_ONNX", "the file is no complete ONNX model: it has no graph with outputs, or names no opset");
  }
  const opset = Number(model.opsetImport.find(({ domain }) => domain === "" || domain === "ai.onnx")?.version ?? 0n);
  const usesDefault = graph.node.some(({ domain }) => domain === "" || domain === "ai.onnx");
  if (usesDefault && opset < OPSET_MIN) {
    throw new StatusError("MODEL_NOT_ONNX", `the model uses opset ${opset}; export it with opset ${OPSET_MIN} or later`);
  }
  return model;
}
