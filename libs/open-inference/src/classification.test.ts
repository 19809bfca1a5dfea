import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { decodeBytesElements, tensorOf, type Datatype, type Tensor } from "@servable/tensor";
import { classify, parseLabels } from "./classification.ts";

const textsOf = (tensor: Tensor): string[] => decodeBytesElements(tensor.data, tensor.shape.reduce((a, b) => a * b, 1)).map((bytes) => Buffer.from(bytes).toString());

describe("classification", () => {
  it("answers the highest values of each example with their labels", () => {
    const scores = tensorOf("FP32", [2, 3], [0.1, 0.7, 0.2, 3, -1, 2.5]);

    const answer = classify(scores, { count: 2, batched: true, labels: ["cat", "dog"] });

    assert.deepEqual(answer.shape, [2, 2]);
    assert.equal(answer.datatype, "BYTES");
    assert.deepEqual(textsOf(answer), ["0.700000:1:dog", "0.200000:2", "3.000000:0:cat", "2.500000:2"]);
  });

  it("takes all of an output for one list of classes where the model does not batch", () => {
    const answer = classify(tensorOf("INT32", [1, 4], [7, 7, -3, 9]), { count: 10, batched: false });

    assert.deepEqual(answer.shape, [4]);
    assert.deepEqual(textsOf(answer), ["9:3", "7:0", "7:1", "-3:2"]);
  });

  const forms: { what: string; datatype: Datatype; values: unknown[]; texts: string[] }[] = [
    { what: "integers of 64 bits exactly", datatype: "INT64", values: [9007199254740993n, -1n], texts: ["9007199254740993:0", "-1:1"] },
    { what: "large floats without exponents", datatype: "FP64", values: [1e22, 1e-9], texts: ["10000000000000000000000.000000:0", "0.000000:1"] },
    { what: "ties to the even digit, as C does", datatype: "FP32", values: [0.0234375, 0.0078125], texts: ["0.023438:0", "0.007812:1"] },
    { what: "infinities, and not-a-number last", datatype: "FP32", values: [NaN, -Infinity, Infinity], texts: ["inf:2", "-inf:1", "nan:0"] },
    { what: "half floats by value", datatype: "FP16", values: [0.5, 0.25], texts: ["0.500000:0", "0.250000:1"] },
    { what: "unsigned integers", datatype: "UINT8", values: [200, 255], texts: ["255:1", "200:0"] },
  ];
  for (const { what, datatype, values, texts } of forms) {
    it(`prints ${what}`, () => assert.deepEqual(textsOf(classify(tensorOf(datatype, [values.length], values), { count: 9, batched: false })), texts));
  }

  it("refuses outputs that are no numbers, and a count below one", () => {
    const reason = (work: () => unknown): string => {
      try {
        work();
      } catch (error) {
        return (error as StatusError).reason;
      }
      return "none";
    };
    assert.equal(reason(() => classify(tensorOf("BYTES", [1], ["a"]), { count: 1, batched: false })), "DATATYPE_MISMATCH");
    assert.equal(reason(() => classify(tensorOf("BOOL", [1], [true]), { count: 1, batched: false })), "DATATYPE_MISMATCH");
    assert.equal(reason(() => classify(tensorOf("FP32", [1], [1]), { count: 0, batched: false })), "FIELD_INVALID");
  });

  it("reads label files of either line end", () => {
    assert.deepEqual(parseLabels("a\r\nb c\n\nd\n"), ["a", "b c", "", "d"]);
    assert.deepEqual(parseLabels("only"), ["only"]);
  });
});
