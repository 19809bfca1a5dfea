import type { InferParameter, InferTensorContents, ModelInferResponse, ModelInferResponse_InferOutputTensor } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { contentsFieldOf, isDatatype, tensorOf, type Datatype, type Tensor } from "@servable/tensor";
import type { WantsBinary } from "./infer-json.ts";
import { jsonTokens } from "./json-text.ts";

/** The body of an infer answer. */
export interface InferBody {
  readonly body: Buffer;
  /** Bytes of the JSON part when binary tensors follow. */
  readonly jsonLength: number | undefined;
}

/** Writes an answer: JSON, then the tensors that were asked for as binary, in the order of the outputs. */
export function writeInferResponse(response: ModelInferResponse, wantsBinary: WantsBinary): InferBody {
  const blocks: Uint8Array[] = [];
  const outputs = response.outputs.map((output, index) => {
    const isShared = "shared_memory_region" in output.parameters;
    const tensor = outputTensor(response, output, index);
    const fields = [`"name":${JSON.stringify(output.name)}`, `"datatype":"${tensor.datatype}"`, `"shape":[${tensor.shape.join(",")}]`];
    const parameters = parameterEntries(output.parameters);
    if (!isShared && wantsBinary(output.name)) {
      parameters.push(`"binary_data_size":${tensor.data.length}`);
      blocks.push(tensor.data);
    } else if (!isShared) fields.push(`"data":[${jsonData(tensor, output.name)}]`);
    if (parameters.length > 0) fields.push(`"parameters":{${parameters.join(",")}}`);
    return `{${fields.join(",")}}`;
  });
  const fields = [`"model_name":${JSON.stringify(response.modelName)}`, `"model_version":${JSON.stringify(response.modelVersion)}`];
  if (response.id !== "") fields.push(`"id":${JSON.stringify(response.id)}`);
  const parameters = parameterEntries(response.parameters);
  if (parameters.length > 0) fields.push(`"parameters":{${parameters.join(",")}}`);
  const json = Buffer.from(`{${[...fields, `"outputs":[${outputs.join(",")}]`].join(",")}}`);
  return blocks.length === 0 ? { body: json, jsonLength: undefined } : { body: Buffer.concat([json, ...blocks]), jsonLength: json.length };
}

function jsonData(tensor: Tensor, output: string): string {
  if (tensor.datatype === "FP16" || tensor.datatype === "BF16") {
    throw new StatusError("FIELD_INVALID", `sending ${tensor.datatype} data via JSON is not supported. Please use the binary data format for output '${output}'`, { metadata: { output } });
  }
  return jsonTokens(tensor, `output '${output}'`, "refuse").join(",");
}

/** One output's tensor, from whichever of the two forms the replica chose. */
export function outputTensor(response: ModelInferResponse, output: ModelInferResponse_InferOutputTensor, index: number): Tensor {
  const shape = output.shape.map(Number);
  if (!isDatatype(output.datatype)) throw new StatusError("INTERNAL", `the replica answered datatype ${output.datatype}, which is none of the protocol's`);
  const raw = response.rawOutputContents[index];
  if (raw !== undefined) return { datatype: output.datatype, shape, data: raw };
  return tensorOf(output.datatype, shape, contentsOf(output.datatype, output.contents), `output '${output.name}'`);
}

function contentsOf(datatype: Datatype, contents: InferTensorContents | undefined): readonly unknown[] {
  const field = contentsFieldOf(datatype);
  return contents === undefined || field === undefined ? [] : contents[field];
}

function parameterEntries(parameters: Readonly<Record<string, InferParameter>>): string[] {
  return Object.entries(parameters).flatMap(([key, { parameterChoice }]) => {
    const { value } = parameterChoice;
    return value === undefined ? [] : [`${JSON.stringify(key)}:${typeof value === "bigint" ? value.toString() : JSON.stringify(value)}`];
  });
}
