import { createHash } from "node:crypto";
import { clearField, clone, toBinary } from "@bufbuild/protobuf";
import { buildModel, type BuildOptions } from "./build-model.ts";
import { ModelProtoSchema, TensorProtoSchema, type GraphProto, type ModelProto, type TensorProto } from "./gen/onnx/onnx_pb.js";
import { inlineBytes } from "./external-data.ts";
import { readModel } from "./read.ts";

/**
 * The bytes that say what a model computes, whoever wrote the file: without producer, documentation and names of nodes,
 * weights as raw bytes, attributes and opsets in order of their names, only opsets that nodes use.
 *
 * Names of values count: they are how inputs and outputs are called.
 */
export function canonicalBytes(model: ModelProto): Uint8Array {
  const copy = clone(ModelProtoSchema, model);
  for (const field of ["producerName", "producerVersion", "domain", "modelVersion", "docString"] as const) clearField(copy, ModelProtoSchema.field[field]);
  copy.metadataProps = [];
  const used = new Set(["", ...copy.functions.flatMap(({ node }) => node).concat(copy.graph?.node ?? []).map(({ domain }) => domain)]);
  copy.opsetImport = copy.opsetImport.filter(({ domain }) => used.has(domain)).sort((a, b) => (a.domain < b.domain ? -1 : 1));
  if (copy.graph !== undefined) plainGraph(copy.graph);
  return toBinary(ModelProtoSchema, copy);
}

/**
 * SHA-256 of the {@link canonicalBytes}, in hex: the same graph has the same digest.
 *
 * @throws StatusError `MODEL_NOT_ONNX` for bytes that are no model
 */
export function graphDigest(model: Uint8Array | ModelProto | BuildOptions): string {
  const bytes = "graph" in model && "outputs" in model ? buildModel(model) : model;
  return createHash("sha256").update(canonicalBytes(bytes instanceof Uint8Array ? readModel(bytes) : (bytes))).digest("hex");
}

function plainGraph(graph: GraphProto): void {
  graph.docString = "";
  graph.name = "";
  graph.valueInfo = [];
  graph.metadataProps = [];
  graph.initializer.forEach(plainTensor);
  for (const node of graph.node) {
    node.name = "";
    // Left out and empty are other bytes.
    node.domain = node.domain === "ai.onnx" ? "" : node.domain;
    node.overload = `${node.overload}`;
    node.docString = "";
    node.metadataProps = [];
    node.attribute.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const attribute of node.attribute) {
      attribute.docString = "";
      if (attribute.t !== undefined) plainTensor(attribute.t);
      for (const each of attribute.g === undefined ? attribute.graphs : [attribute.g, ...attribute.graphs]) plainGraph(each);
    }
  }
}

function plainTensor(tensor: TensorProto): void {
  tensor.docString = "";
  const bytes = inlineBytes(tensor);
  if (bytes === undefined) return;
  tensor.rawData = bytes;
  tensor.floatData = [];
  tensor.int64Data = [];
  clearField(tensor, TensorProtoSchema.field.docString);
}
