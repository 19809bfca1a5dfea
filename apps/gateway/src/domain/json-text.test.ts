import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tensorOf, type Datatype } from "@servable/tensor";
import { jsonTokens, nestTokens, parseLossless } from "./json-text.ts";

describe("JSON text", () => {
  it("reads long whole numbers exactly, and other numbers as usual", () => {
    const value = parseLossless(Buffer.from('{"a": [9007199254740993, -9223372036854775808, 1.2345678901234567, 7, 1e20, "12345678901234567890"]}'));

    assert.deepEqual(value, { a: [9007199254740993n, -9223372036854775808n, 1.2345678901234567, 7, 1e20, "12345678901234567890"] });
  });

  it("reads a number of a million digits as any other that is too large", () => {
    assert.deepEqual(parseLossless(Buffer.from(`[${"9".repeat(1_000_000)}, 1]`)), [Infinity, 1]);
  });

  const written: { datatype: Datatype; values: unknown[]; want: string }[] = [
    { datatype: "FP32", values: [0.1, 1 / 3, 16777216, -0, NaN, Infinity, -Infinity], want: "0.1,0.33333334,16777216,-0.0,null,1e999,-1e999" },
    { datatype: "FP64", values: [0.1, 1e300], want: "0.1,1e+300" },
    { datatype: "UINT64", values: [18446744073709551615n], want: "18446744073709551615" },
    { datatype: "BOOL", values: [true, false], want: "true,false" },
    { datatype: "BYTES", values: ['a"\n\u0000é'], want: '"a\\"\\n\\u0000é"' },
  ];
  for (const { datatype, values, want } of written) {
    it(`writes ${datatype}`, () => {
      const tokens = jsonTokens(tensorOf(datatype, [values.length], values), "x", "refuse");

      assert.equal(tokens.join(","), want);
      assert.doesNotThrow(() => JSON.parse(`[${want}]`));
    });
  }

  it("reads back every FP32 that it writes", () => {
    const bits = new Uint32Array(2000).map((_, index) => Math.imul(index + 1, 0x9e3779b1));
    const values = Array.from(new Float32Array(bits.buffer)).filter(Number.isFinite);
    const tokens = jsonTokens(tensorOf("FP32", [values.length], values), "x", "refuse");

    assert.deepEqual(tokens.map((token) => Math.fround(Number(token))), values);
  });

  it("refuses bytes that are no text, or writes them as base64", () => {
    const tensor = tensorOf("BYTES", [1], [Uint8Array.of(0xff)]);

    assert.throws(() => jsonTokens(tensor, "x", "refuse"), (error: unknown) => error instanceof StatusError && /binary_data/.test(error.message));
    assert.deepEqual(jsonTokens(tensor, "x", "base64"), ['{"b64":"/w=="}']);
  });

  it("nests by shape, empty dimensions too", () => {
    assert.equal(nestTokens(["1", "2", "3", "4"], [2, 2]), "[[1,2],[3,4]]");
    assert.equal(nestTokens(["1"], []), "1");
    assert.equal(nestTokens([], [2, 0]), "[[],[]]");
  });
});
