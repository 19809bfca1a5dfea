import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { StatusError, type Reason } from "@servable/errors";
import { checkByteCount, decodeBytesElements, elementCount, elementsOf, encodeBytesElements, fitsShape, flatten, nest, tensorOf, type Datatype } from "./index.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;

describe("tensors", () => {
  const cases: { datatype: Datatype; values: unknown[]; hex: string }[] = [
    { datatype: "INT32", values: [1, -1], hex: "01000000ffffffff" },
    { datatype: "UINT8", values: [0, 255], hex: "00ff" },
    { datatype: "INT64", values: [2n ** 53n + 1n, -1], hex: "0100000000002000ffffffffffffffff" },
    { datatype: "FP32", values: [1, -2.5], hex: "0000803f000020c0" },
    { datatype: "FP16", values: [1, -2.5], hex: "003c00c1" },
    { datatype: "BF16", values: [1, -2.5], hex: "803f20c0" },
    { datatype: "BOOL", values: [true, false], hex: "0100" },
    { datatype: "BYTES", values: ["a", "é"], hex: "010000006102000000c3a9" },
  ];
  for (const { datatype, values, hex } of cases) {
    it(`writes and reads ${datatype} little-endian`, () => {
      const tensor = tensorOf(datatype, [2], values);

      assert.equal(Buffer.from(tensor.data).toString("hex"), hex);
      const read = elementsOf(tensor).map((value) => (value instanceof Uint8Array ? new TextDecoder().decode(value) : typeof value === "bigint" ? value : value));
      assert.deepEqual(read.map(String), values.map(String));
    });
  }

  it("reads a Buffer that is not aligned, whose slice would be a view", () => {
    const data = Buffer.from([9, 1, 0, 0, 0, 2, 0, 0, 0]).subarray(1);

    assert.deepEqual(elementsOf({ datatype: "INT32", shape: [2], data }), [1, 2]);
  });

  it("reads bytes that are not aligned", () => {
    const data = new Uint8Array(9).subarray(1);
    data.set(tensorOf("FP32", [2], [1, 2]).data);

    assert.deepEqual(elementsOf({ datatype: "FP32", shape: [2], data }), [1, 2]);
  });

  const wrong = [
    { what: "a text for a number", run: () => tensorOf("FP32", [1], ["1"]), want: "DATATYPE_MISMATCH" },
    { what: "a fraction for an integer", run: () => tensorOf("INT32", [1], [1.5]), want: "DATATYPE_MISMATCH" },
    { what: "a number that FP32 cannot hold", run: () => tensorOf("FP32", [2], [1, 1e39]), want: "VALUE_OUT_OF_RANGE" },
    { what: "a number that FP16 cannot hold", run: () => tensorOf("FP16", [1], [70_000]), want: "VALUE_OUT_OF_RANGE" },
    { what: "an integer out of range", run: () => tensorOf("UINT8", [1], [256]), want: "VALUE_OUT_OF_RANGE" },
    { what: "too few values", run: () => tensorOf("UINT8", [2], [1]), want: "BYTE_COUNT_MISMATCH" },
    { what: "too few bytes", run: () => checkByteCount({ datatype: "FP32", shape: [2], data: new Uint8Array(7) }), want: "BYTE_COUNT_MISMATCH" },
    { what: "BYTES whose length points beyond the end", run: () => decodeBytesElements(new Uint8Array([9, 0, 0, 0, 1]), 1), want: "BYTE_COUNT_MISMATCH" },
    { what: "a negative dimension", run: () => elementCount([-1]), want: "SHAPE_MISMATCH" },
    { what: "a product above all bounds", run: () => elementCount([2 ** 31, 2 ** 31]), want: "SHAPE_MISMATCH" },
    { what: "ragged lists", run: () => flatten([[1], [1, 2]]), want: "SHAPE_MISMATCH" },
  ] as const;
  for (const { what, run, want } of wrong) it(`refuses ${what}`, () => assert.throws(run, reason(want)));
});

describe("nesting and BYTES", () => {
  it("flatten what they nest", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }), (shape) => {
        const values = Array.from({ length: elementCount(shape) }, (_, index) => index);
        assert.deepEqual(flatten(nest(values, shape)), { shape, values });
      }),
    );
  });

  it("decode what they encode", () => {
    fc.assert(fc.property(fc.array(fc.uint8Array()), (elements) => assert.deepEqual(decodeBytesElements(encodeBytesElements(elements), elements.length), elements)));
  });

  it("fit -1 to any size", () => {
    assert.ok(fitsShape([7, 16], [-1, 16]));
    assert.ok(!fitsShape([7, 15], [-1, 16]));
    assert.ok(!fitsShape([7], [-1, 16]));
  });
});
