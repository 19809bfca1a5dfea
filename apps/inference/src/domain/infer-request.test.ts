import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError, type Reason } from "@servable/errors";
import { elementsOf } from "@servable/tensor";
import { checkInferRequest, type RequestTarget } from "./infer-request.ts";

const target: RequestTarget = {
  name: "simple",
  maxBatchSize: 8,
  signature: { inputs: ["A", "B"].map((name) => ({ name, datatype: "INT32", shape: [-1, 2] })), outputs: [{ name: "SUM", datatype: "INT32", shape: [-1, 2] }] },
};
const tensor = (name: string, change: object = {}) => ({ name, datatype: "INT32", shape: [1n, 2n], contents: { intContents: [1, 2] }, ...change });
type Init = MessageInitShape<typeof ModelInferRequestSchema>;
const check = (init: Init) => checkInferRequest(create(ModelInferRequestSchema, init), target);

describe("a request", () => {
  it("is taken with typed contents and with raw bytes alike", () => {
    const typed = check({ inputs: [tensor("A"), tensor("B")] });
    const raw = check({ inputs: [tensor("A", { contents: undefined }), tensor("B", { contents: undefined })], rawInputContents: [typed.inputs[0]!.data, typed.inputs[1]!.data] });

    assert.deepEqual(raw, typed);
    assert.deepEqual(elementsOf(typed.inputs[0]!), [1, 2]);
  });

  const wrong: { what: string; init: Init; want: Reason; says: RegExp }[] = [
    { what: "without an input", init: { inputs: [tensor("A")] }, want: "INPUT_MISSING", says: /expected 2 inputs but got 1.*'B' missing/ },
    { what: "with an input that the model does not have", init: { inputs: [tensor("A"), tensor("B"), tensor("C")] }, want: "INPUT_UNEXPECTED", says: /'C'.*takes A, B/ },
    { what: "with an input twice", init: { inputs: [tensor("A"), tensor("B"), tensor("A")] }, want: "INPUT_UNEXPECTED", says: /'A' already exists/ },
    { what: "of another datatype", init: { inputs: [tensor("A", { datatype: "FP32" }), tensor("B")] }, want: "DATATYPE_MISMATCH", says: /'FP32'.*expects 'INT32'/ },
    { what: "of another shape", init: { inputs: [tensor("A", { shape: [1n, 3n] }), tensor("B")] }, want: "SHAPE_MISMATCH", says: /expected \[-1,2\], got \[1,3\]/ },
    { what: "of another rank", init: { inputs: [tensor("A", { shape: [2n] }), tensor("B")] }, want: "SHAPE_MISMATCH", says: /got \[2\]/ },
    { what: "above the batch size", init: { inputs: [tensor("A", { shape: [9n, 2n] }), tensor("B")] }, want: "SHAPE_MISMATCH", says: /batch-size must be <= 8/ },
    { what: "whose batch sizes differ", init: { inputs: [tensor("A"), tensor("B", { shape: [2n, 2n], contents: { intContents: [1, 2, 3, 4] } })] }, want: "SHAPE_MISMATCH", says: /batch size 2 differs from 1/ },
    { what: "with too few values", init: { inputs: [tensor("A", { contents: { intContents: [1] } }), tensor("B")] }, want: "BYTE_COUNT_MISMATCH", says: /takes 2 values, got 1/ },
    { what: "with too few raw bytes", init: { inputs: [tensor("A", { contents: undefined }), tensor("B", { contents: undefined })], rawInputContents: [new Uint8Array(8), new Uint8Array(7)] }, want: "BYTE_COUNT_MISMATCH", says: /takes 8 bytes, got 7/ },
    { what: "with raw bytes for some inputs", init: { inputs: [tensor("A", { contents: undefined }), tensor("B", { contents: undefined })], rawInputContents: [new Uint8Array(8)] }, want: "BYTE_COUNT_MISMATCH", says: /1 elements for 2 inputs/ },
    { what: "with raw bytes and contents", init: { inputs: [tensor("A"), tensor("B")], rawInputContents: [new Uint8Array(8), new Uint8Array(8)] }, want: "BYTE_COUNT_MISMATCH", says: /must not be specified/ },
    { what: "without data", init: { inputs: [tensor("A", { contents: undefined }), tensor("B")] }, want: "BYTE_COUNT_MISMATCH", says: /no data/ },
    { what: "for an unknown output", init: { inputs: [tensor("A"), tensor("B")], outputs: [{ name: "X" }] }, want: "OUTPUT_UNKNOWN", says: /'X'.*gives SUM/ },
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
