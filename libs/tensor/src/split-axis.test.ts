import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { splitAxis } from "./split-axis.ts";
import { elementsOf, tensorOf } from "./tensor.ts";

describe("cutting a tensor along an axis", () => {
  const matrix = tensorOf("INT32", [3, 2], [0, 1, 2, 3, 4, 5]);

  it("gives views along the first axis", () => {
    const parts = splitAxis(matrix, 0, [1, 2]);

    assert.deepEqual(parts.map((part) => [part.shape, elementsOf(part)]), [[[1, 2], [0, 1]], [[2, 2], [2, 3, 4, 5]]]);
    assert.equal(parts[1]?.data.buffer, matrix.data.buffer);
  });

  it("gathers the rows of every block along a later axis", () => {
    assert.deepEqual(splitAxis(matrix, 1, [1, 1]).map((part) => [part.shape, elementsOf(part)]), [[[3, 1], [0, 2, 4]], [[3, 1], [1, 3, 5]]]);
  });

  it("keeps texts of different lengths whole", () => {
    const texts = tensorOf("BYTES", [2, 2], ["a", "bcd", "", "é"]);

    const shown = splitAxis(texts, 1, [1, 1]).map((part) => elementsOf(part).map((text) => Buffer.from(text as Uint8Array).toString()));

    assert.deepEqual(shown, [["a", ""], ["bcd", "é"]]);
  });

  it("cuts what is empty into empty parts", () => {
    assert.deepEqual(splitAxis(tensorOf("FP32", [2, 0], []), 0, [1, 1]).map(({ shape, data }) => [shape, data.length]), [[[1, 0], 0], [[1, 0], 0]]);
  });

  it("refuses sizes that do not add up", () => {
    assert.throws(() => splitAxis(matrix, 0, [1, 1]), TypeError);
    assert.throws(() => splitAxis(matrix, 2, [1]), TypeError);
  });
});
