import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import { StatusError, type Reason } from "@servable/errors";
import { decodeInferRequest } from "@servable/open-inference";
import { elementsOf } from "@servable/tensor";
import { checkInferRequest, type ReadSharedMemory } from "./infer-request.ts";
import { requestTargetOf } from "./request-target.ts";

const signature = { inputs: ["A", "B"].map((name) => ({ name, datatype: "INT32" as const, shape: [-1, 2] })), outputs: [{ name: "SUM", datatype: "INT32" as const, shape: [-1, 2] }] };
const target = requestTargetOf("simple", 1, signature, create(ModelConfigSchema, { maxBatchSize: 8 }));
const tensor = (name: string, change: object = {}) => ({ name, datatype: "INT32", shape: [1n, 2n], contents: { intContents: [1, 2] }, ...change });
type Init = MessageInitShape<typeof ModelInferRequestSchema>;
const check = (init: Init, memory?: ReadSharedMemory) => checkInferRequest(decodeInferRequest(toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, init))), target, memory);
const parameter = (kind: "int64Param" | "stringParam" | "boolParam" | "uint64Param", value: bigint | string | boolean) => ({ parameterChoice: { case: kind, value } }) as { parameterChoice: { case: "int64Param"; value: bigint } };

describe("a request", () => {
  it("is taken with typed contents and with raw bytes alike", () => {
    const typed = check({ inputs: [tensor("A"), tensor("B")] });
    const raw = check({ inputs: [tensor("A", { contents: undefined }), tensor("B", { contents: undefined })], rawInputContents: typed.request.inputs.map(({ data }) => data) });

    assert.deepEqual(raw.request.inputs.map((each) => elementsOf(each)), typed.request.inputs.map((each) => elementsOf(each)));
    assert.deepEqual(elementsOf(typed.request.inputs[0]!), [1, 2]);
  });

  it("has its inputs in the model's order, whatever the caller's", () => {
    assert.deepEqual(check({ inputs: [tensor("B"), tensor("A")] }).request.inputs.map(({ name }) => name), ["A", "B"]);
  });

  it("takes inputs from shared memory, which need no raw entry", () => {
    const region = { shared_memory_region: parameter("stringParam", "r"), shared_memory_byte_size: parameter("int64Param", 8n), shared_memory_offset: parameter("int64Param", 4n) };
    const bytes = Uint8Array.from([7, 0, 0, 0, 8, 0, 0, 0]);
    const { request } = check({ inputs: [tensor("A", { contents: undefined, parameters: region }), tensor("B", { contents: undefined })], rawInputContents: [bytes] }, (range) => {
      assert.deepEqual(range, { region: "r", offset: 4, byteSize: 8 });
      return bytes;
    });

    assert.deepEqual(request.inputs.map((each) => elementsOf(each)), [[7, 8], [7, 8]]);
  });

  it("carries sequence, priority, time-out and the caller's own parameters", () => {
    const inputs = [tensor("A"), tensor("B")];
    const { request } = check({
      inputs,
      parameters: { sequence_id: parameter("int64Param", 7n), sequence_start: parameter("boolParam", true), priority: parameter("uint64Param", 2n), timeout: parameter("int64Param", 5n), color: parameter("stringParam", "red") },
    });

    assert.deepEqual(request.sequence, { id: "7", numericId: 7n, start: true, end: false });
    assert.deepEqual([request.priority, request.queueTimeoutUs, [...request.parameters]], [2, 5, [["color", "red"]]]);
    assert.equal(check({ inputs, parameters: { sequence_id: parameter("int64Param", 0n) } }).request.sequence, undefined);
  });

  const wrong: { what: string; init: Init; want: Reason; says: RegExp }[] = [
    { what: "without an input", init: { inputs: [tensor("A")] }, want: "INPUT_MISSING", says: /expected 2 inputs but got 1 inputs for model 'simple'\. Got input\(s\) \['A'\], but missing required input\(s\) \['B'\]/ },
    { what: "with an input that the model does not have", init: { inputs: [tensor("A"), tensor("B"), tensor("C")] }, want: "INPUT_UNEXPECTED", says: /'C'.*takes A, B/ },
    { what: "with an input twice", init: { inputs: [tensor("A"), tensor("B"), tensor("A")] }, want: "INPUT_UNEXPECTED", says: /'A' already exists/ },
    { what: "of another datatype", init: { inputs: [tensor("A", { datatype: "FP32" }), tensor("B")] }, want: "DATATYPE_MISMATCH", says: /'FP32'.*expects 'INT32'/ },
    { what: "of another shape", init: { inputs: [tensor("A", { shape: [1n, 3n] }), tensor("B")] }, want: "SHAPE_MISMATCH", says: /expected \[-1,2\], got \[1,3\]/ },
    { what: "of another rank", init: { inputs: [tensor("A", { shape: [2n] }), tensor("B")] }, want: "SHAPE_MISMATCH", says: /got \[2\]/ },
    { what: "above the batch size", init: { inputs: [tensor("A", { shape: [9n, 2n] }), tensor("B")] }, want: "SHAPE_MISMATCH", says: /batch-size must be <= 8/ },
    { what: "whose batch sizes differ", init: { inputs: [tensor("A"), tensor("B", { shape: [2n, 2n], contents: { intContents: [1, 2, 3, 4] } })] }, want: "SHAPE_MISMATCH", says: /batch size 2 differs from 1/ },
    { what: "with too few values", init: { inputs: [tensor("A", { contents: { intContents: [1] } }), tensor("B")] }, want: "BYTE_COUNT_MISMATCH", says: /takes 2 values, got 1/ },
    { what: "with too few raw bytes", init: { inputs: [tensor("A", { contents: undefined }), tensor("B", { contents: undefined })], rawInputContents: [new Uint8Array(8), new Uint8Array(7)] }, want: "BYTE_COUNT_MISMATCH", says: /input byte size mismatch for input 'B' for model 'simple'\. Expected 8, got 7/ },
    { what: "with raw bytes for some inputs", init: { inputs: [tensor("A", { contents: undefined }), tensor("B", { contents: undefined })], rawInputContents: [new Uint8Array(8)] }, want: "BYTE_COUNT_MISMATCH", says: /1 elements for 2 inputs/ },
    { what: "with raw bytes and contents", init: { inputs: [tensor("A"), tensor("B")], rawInputContents: [new Uint8Array(8), new Uint8Array(8)] }, want: "BYTE_COUNT_MISMATCH", says: /must not be specified/ },
    { what: "without data", init: { inputs: [tensor("A", { contents: undefined }), tensor("B")] }, want: "BYTE_COUNT_MISMATCH", says: /no data/ },
    { what: "for an unknown output", init: { inputs: [tensor("A"), tensor("B")], outputs: [{ name: "X" }] }, want: "OUTPUT_UNKNOWN", says: /'X'.*gives SUM/ },
    { what: "with a reserved parameter", init: { inputs: [tensor("A"), tensor("B")], parameters: { triton_x: parameter("int64Param", 1n) } }, want: "FIELD_INVALID", says: /'triton_x'/ },
    { what: "whose sequence_start is no flag", init: { inputs: [tensor("A"), tensor("B")], parameters: { sequence_start: parameter("int64Param", 1n) } }, want: "FIELD_INVALID", says: /'sequence_start' parameter, expected bool_param/ },
    { what: "of a region that nobody registered", init: { inputs: [tensor("A", { contents: undefined, parameters: { shared_memory_region: parameter("stringParam", "r"), shared_memory_byte_size: parameter("int64Param", 8n) } }), tensor("B")] }, want: "SHARED_MEMORY_UNKNOWN", says: /Unable to find shared memory region: 'r'/ },
    { what: "with half a region", init: { inputs: [tensor("A", { contents: undefined, parameters: { shared_memory_region: parameter("stringParam", "r") } }), tensor("B")] }, want: "FIELD_INVALID", says: /must be specified along with/ },
    { what: "for an output twice", init: { inputs: [tensor("A"), tensor("B")], outputs: [{ name: "SUM" }, { name: "SUM" }] }, want: "OUTPUT_UNKNOWN", says: /'SUM' already exists in request/ },
  ];
  for (const { what, init, want, says } of wrong) {
    it(`${what} is refused with what the model wants`, () => {
      assert.throws(() => check(init), (error: unknown) => {
        assert.ok(error instanceof StatusError);
        assert.equal(error.reason, want);
        assert.match(error.message, says);
        return true;
      });
    });
  }
});
