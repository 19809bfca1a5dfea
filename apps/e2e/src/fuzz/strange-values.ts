import type { InferParameter } from "@servable/contracts/open-inference/grpc_service";

// Values from the edges of what a field can hold. Names are those that clients, parsers, logs and prototypes stumble over.

export const STRANGE_TEXTS: readonly string[] = ["", " ", "\0", "INPUT0", "input0", "OUTPUT0", "simple", "__proto__", "constructor", "toString", "../../etc/passwd", "ä\u{1f600}\u202e", "%s%n", "a".repeat(300), "x".repeat(70_000), "1e999", "-1", "\r\nx: y"];

export const STRANGE_DIMENSIONS: readonly bigint[] = [0n, 1n, 2n, 8n, 9n, 16n, 17n, -1n, -(2n ** 63n), 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 62n, 2n ** 63n - 1n];

export const STRANGE_DATATYPES: readonly string[] = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16", "BYTES", "", "int32", "FP8", "TYPE_FP32", "x".repeat(70_000)];

export const PARAMETER_NAMES: readonly string[] = ["priority", "timeout", "sequence_id", "sequence_start", "sequence_end", "binary_data", "binary_data_size", "binary_data_output", "classification", "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset", "triton_enable_empty_final_response", "triton_x", "headers", "__proto__", "my_own"];

export const PARAMETER_CHOICES: readonly InferParameter["parameterChoice"][] = [
  { case: "boolParam", value: true },
  { case: "int64Param", value: 0n },
  { case: "int64Param", value: -1n },
  { case: "int64Param", value: 2n ** 63n - 1n },
  { case: "uint64Param", value: 2n ** 64n - 1n },
  { case: "doubleParam", value: Number.NaN },
  { case: "stringParam", value: "" },
  { case: "stringParam", value: "x".repeat(5_000) },
  { case: undefined },
];

/** Values of JSON that stand where others are expected. */
export const STRANGE_JSON: readonly unknown[] = [null, true, 0, -1, 1.5, 1e308, 2 ** 53, "", "x", "NaN", [], [[]], {}, { b64: "AA==" }, [1, "2", null], [[1], [2, 3]], -0];

/** Tokens that no JSON.stringify would write. */
export const RAW_JSON_TOKENS: readonly string[] = ["NaN", "Infinity", "-Infinity", "1e999", "123456789012345678901234567890", "-9223372036854775809", "18446744073709551616", "0x10", "'a'", "{", "]", ",", '"\\ud800"', '"\\u0000"', "/**/1", "undefined", "[".repeat(150) + "]".repeat(150)];
