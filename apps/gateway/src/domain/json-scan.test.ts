import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkNesting, outermostKeys } from "./json-scan.ts";

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe("JSON scan", () => {
  it("counts brackets, but not those inside texts", () => {
    assert.doesNotThrow(() => checkNesting(bytes("[".repeat(100) + "]".repeat(100))));
    assert.throws(() => checkNesting(bytes("[".repeat(101) + "]".repeat(101))), /JSON nesting depth exceeds maximum allowed limit \(100\)/);
    assert.doesNotThrow(() => checkNesting(bytes(`{"a":"${"[".repeat(500)}\\"${"{".repeat(500)}"}`)));
    assert.doesNotThrow(() => checkNesting(bytes(`[${Array(500).fill("[1]").join(",")}]`)));
  });

  it("names keys twice that stand there twice, of the outermost object only", () => {
    assert.deepEqual(outermostKeys(bytes('{"a":{"a":1,"b":2},"b\\"c":["x","y"],"d":"e","a":null}')), ["a", 'b"c', "d", "a"]);
    assert.deepEqual(outermostKeys(bytes("")), []);
  });
});
