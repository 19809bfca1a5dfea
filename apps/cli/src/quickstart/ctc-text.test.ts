import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ctcText, editDistance } from "./ctc-text.ts";

const CHARACTERS = ["a", "b"];

function oneHot(best: readonly number[], classes: number): Float32Array {
  return Float32Array.from(best.flatMap((each) => Array.from({ length: classes }, (_, index) => (index === each ? 1 : 0))));
}

describe("CTC text", () => {
  const cases = [
    { best: [1, 1, 0, 1, 2], text: "aab", says: "drops repetitions, keeps letters that a blank parts" },
    { best: [0, 0], text: "", says: "is empty for blanks" },
    { best: [1, 3, 2], text: "a b", says: "reads the class past the list as a space" },
  ];
  for (const { best, text, says } of cases) {
    it(says, () => {
      assert.equal(ctcText(oneHot(best, 4), 4, CHARACTERS), text);
    });
  }
});

describe("edit distance", () => {
  for (const { a, b, want } of [{ a: "kitten", b: "sitting", want: 3 }, { a: "", b: "ab", want: 2 }, { a: "7", b: "7", want: 0 }]) {
    it(`between "${a}" and "${b}" is ${want}`, () => {
      assert.equal(editDistance(a, b), want);
    });
  }
});
