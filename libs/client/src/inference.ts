import { GRPCInferenceService, type InferTensorContents, type ModelInferResponse, type ModelMetadataResponse, type RepositoryIndexResponse_ModelIndex } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import { isDatatype, tensorOf, type Tensor } from "@servable/tensor";
import type { ClientCallOptions, Connection } from "./connection.ts";

/** One inference request. */
export interface InferOptions extends ClientCallOptions {
  /** Name of the deployment. */
  readonly model: string;
  readonly version?: string | undefined;
  readonly id?: string | undefined;
  /** Tensors by input name. */
  readonly inputs: Readonly<Record<string, Tensor>>;
  /** Outputs wanted; absent = all. */
  readonly outputs?: readonly string[] | undefined;
}

/** Its answer. */
export interface InferResult {
  readonly model: string;
  readonly version: string;
  readonly id: string;
  /** Tensors by output name. */
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** The Open Inference Protocol over gRPC, with tensors as raw bytes. */
export class Inference {
  readonly #connection: Connection;
  readonly #inference: Client<typeof GRPCInferenceService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#inference = connection.client(GRPCInferenceService);
  }

  /**
   * Runs a deployed model.
   *
   * @throws StatusError `MODEL_NOT_FOUND`, `INPUT_MISSING`, `DATATYPE_MISMATCH`, `SHAPE_MISMATCH`, `BYTE_COUNT_MISMATCH` …
   * @example const { outputs } = await client.inference.infer({ model: "add_sub", inputs: { INPUT0: tensorOf("INT32", [1, 2], [1, 2]) } });
   */
  async infer(options: InferOptions): Promise<InferResult> {
    const inputs = Object.entries(options.inputs);
    const request = {
      modelName: options.model,
      modelVersion: options.version ?? "",
      id: options.id ?? "",
      inputs: inputs.map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
      outputs: (options.outputs ?? []).map((name) => ({ name })),
      rawInputContents: inputs.map(([, { data }]) => data as Uint8Array<ArrayBuffer>),
    };
    // A graph keeps nothing between calls, so a second arrival changes nothing.
    const response = await this.#connection.retrying(() => this.#inference.modelInfer(request, { signal: options.signal, ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }) }), options);
    return { model: response.modelName, version: response.modelVersion, id: response.id, outputs: outputsOf(response) };
  }

  /** Inputs, outputs and versions of a deployed model. */
  metadata(model: string, options: ClientCallOptions & { readonly version?: string } = {}): Promise<ModelMetadataResponse> {
    return this.#connection.retrying(() => this.#inference.modelMetadata({ name: model, version: options.version ?? "" }, options), options);
  }

  async modelReady(model: string, options: ClientCallOptions = {}): Promise<boolean> {
    return (await this.#connection.retrying(() => this.#inference.modelReady({ name: model }, options), options)).ready;
  }

  async serverReady(options: ClientCallOptions = {}): Promise<boolean> {
    return (await this.#connection.retrying(() => this.#inference.serverReady({}, options), options)).ready;
  }

  /** What is served and what is not. */
  async repositoryIndex(options: ClientCallOptions = {}): Promise<RepositoryIndexResponse_ModelIndex[]> {
    return (await this.#connection.retrying(() => this.#inference.repositoryIndex({}, options), options)).models;
  }
}

/** Answers come as raw bytes or, from other servers, as typed lists. */
function outputsOf(response: ModelInferResponse): Record<string, Tensor> {
  const outputs: Record<string, Tensor> = {};
  response.outputs.forEach(({ name, datatype, shape, contents }, index) => {
    if (!isDatatype(datatype)) throw new StatusError("DATATYPE_MISMATCH", `output ${name} has the datatype ${datatype}, which this client does not know`);
    const sizes = shape.map(Number);
    const raw = response.rawOutputContents[index];
    outputs[name] = raw === undefined ? tensorOf(datatype, sizes, valuesOf(contents), name) : { datatype, shape: sizes, data: raw };
  });
  return outputs;
}

function valuesOf(contents: InferTensorContents | undefined): readonly unknown[] {
  if (contents === undefined) return [];
  const lists = [contents.boolContents, contents.intContents, contents.int64Contents, contents.uintContents, contents.uint64Contents, contents.fp32Contents, contents.fp64Contents, contents.bytesContents];
  return lists.find((list) => list.length > 0) ?? [];
}
