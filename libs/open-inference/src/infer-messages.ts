import type { Datatype } from "@servable/tensor";

/** A parameter's value with the field it came in: some parameters must come in certain fields. */
export type InferParameter =
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "int64"; readonly value: bigint }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "double"; readonly value: number }
  | { readonly kind: "uint64"; readonly value: bigint };

/** Parameters by key. */
export type InferParameters = ReadonlyMap<string, InferParameter>;

/** Values of a tensor that were sent typed instead of raw: the field of InferTensorContents that has values, and those. */
export interface TypedContents {
  readonly field: "bool" | "int" | "int64" | "uint" | "uint64" | "fp32" | "fp64" | "bytes";
  readonly values: readonly (boolean | number | bigint | Uint8Array)[];
}

/** ModelInferRequest.InferInputTensor. */
export interface WireInput {
  readonly name: string;
  readonly datatype: string;
  /** As sent: may be negative, which no tensor is. */
  readonly shape: readonly number[];
  readonly parameters: InferParameters;
  /** Undefined when there is no `contents` at all. */
  readonly contents: readonly TypedContents[] | undefined;
}

/** ModelInferRequest.InferRequestedOutputTensor. */
export interface WireRequestedOutput {
  readonly name: string;
  readonly parameters: InferParameters;
}

/** ModelInferRequest. Raw contents are views of the message's bytes. */
export interface WireInferRequest {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters: InferParameters;
  readonly inputs: readonly WireInput[];
  readonly outputs: readonly WireRequestedOutput[];
  readonly rawInputContents: readonly Uint8Array[];
}

/** An output as it goes out; without data it lies in shared memory, and its raw entry stays empty. */
export interface WireOutput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly parameters?: InferParameters;
  readonly data: Uint8Array | undefined;
}

/** ModelInferResponse. */
export interface WireInferResponse {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly parameters?: InferParameters;
  readonly outputs: readonly WireOutput[];
}
