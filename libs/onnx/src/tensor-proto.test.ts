import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { StatusError, type Reason } from "@servable/errors";
import { elementsOf } from "@servable/tensor";
import { TensorProtoSchema } from "./gen/onnx/onnx_pb.js";
import { readTensorProto } from "./index.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;
const file = (init: MessageInitShape<typeof TensorProtoSchema>): Uint8Array => toBinary(TensorProtoSchema, create(TensorProtoSchema, init));

describe("tensor files", () => {
  const cases: readonly { readonly what: string; readonly proto: MessageInitShape<typeof TensorProtoSchema>; readonly want: readonly unknown[] }[] = [
    { what: "raw FP32", proto: { dataType: 1, dims: [2n], rawData: new Uint8Array(new Float32Array([1.5, -2]).buffer) }, want: [1.5, -2] },
    { what: "listed FP32", proto: { dataType: 1, dims: [2n], floatData: [1.5, -2] }, want: [1.5, -2] },
    { what: "listed UINT8", proto: { dataType: 2, dims: [2n], int32Data: [0, 255] }, want: [0, 255] },
    { what: "listed INT64", proto: { dataType: 7, dims: [1n], int64Data: [2n ** 60n] }, want: [2n ** 60n] },
    { what: "listed UINT64", proto: { dataType: 13, dims: [1n], uint64Data: [2n ** 63n] }, want: [2n ** 63n] },
    { what: "listed BOOL", proto: { dataType: 9, dims: [2n], int32Data: [1, 0] }, want: [true, false] },
    { what: "FP16 as bits", proto: { dataType: 10, dims: [1n], int32Data: [0x3c00] }, want: [1] },
    { what: "BF16 as bits", proto: { dataType: 16, dims: [1n], int32Data: [0x3f80] }, want: [1] },
    { what: "texts", proto: { dataType: 8, dims: [1n], stringData: [Buffer.from("ä")] }, want: [Buffer.from("ä")] },
    { what: "a scalar", proto: { dataType: 11, dims: [], doubleData: [0.1] }, want: [0.1] },
    { what: "no elements", proto: { dataType: 1, dims: [0n, 3n] }, want: [] },
  ];
  for (const { what, proto, want } of cases) {
    it(`hold ${what}`, () => {
      const { name, tensor } = readTensorProto(file({ name: "x", ...proto }));

      assert.equal(name, "x");
      assert.deepEqual(elementsOf(tensor).map((value) => (value instanceof Uint8Array ? Buffer.from(value) : value)), want);
    });
  }

  it("are refused for element types that no caller can send", () => assert.throws(() => readTensorProto(file({ dataType: 17, dims: [1n], int32Data: [1] })), reason("DATATYPE_MISMATCH")));
  it("are refused when values and shape differ", () => assert.throws(() => readTensorProto(file({ dataType: 1, dims: [3n], floatData: [1] })), reason("BYTE_COUNT_MISMATCH")));
  it("are refused when they are something else", () => assert.throws(() => readTensorProto(Buffer.from("no tensor at all")), reason("MODEL_NOT_ONNX")));
});
