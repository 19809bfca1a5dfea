import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { StatusError } from "@servable/errors";
import { openWav, readTaskManifest, resampled } from "../src/index.ts";

/** Runs work that may refuse with a reason, and nothing else. */
function mayRefuse(work: () => void): void {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof StatusError, String(error));
  }
}

const HEAD = Buffer.from("RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\x08\0\0\0\0\0\x01\0\x02\0\x03\0", "latin1");

describe("strangers' files", () => {
  it("of sound are read or refused with a reason, wherever their bytes are changed", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(HEAD.length - 1), fc.nat(255)), { maxLength: 6 }), fc.nat(HEAD.length), (changes, length) => {
        const file = Buffer.from(HEAD);
        for (const [at, byte] of changes) file[at] = byte;
        mayRefuse(() => resampled(openWav(file.subarray(0, length)), 16_000).read(0, new Float32Array(4)));
      }),
      { numRuns: 500 },
    );
  });

  it("of manifests are read or refused with a reason, whatever stands in their fields", () => {
    const values = fc.oneof(fc.string(), fc.double(), fc.boolean(), fc.constant(null), fc.array(fc.string()), fc.dictionary(fc.string(), fc.string()));
    const sections = fc.dictionary(fc.constantFrom("width", "labels", "mean", "file", "max_tokens", "inputs", "threshold", "recognizer", "characters", "output", "__proto__"), values);
    const manifests = fc.record({ task: fc.oneof(values, fc.constantFrom("image-classification", "text-embedding", "text-recognition")), image: sections, tokenizer: sections, classification: sections, line: sections, page: sections }, { requiredKeys: [] });
    fc.assert(fc.property(manifests, (manifest) => mayRefuse(() => readTaskManifest(JSON.stringify(manifest)))), { numRuns: 300 });
  });

  it("of anything are no manifests", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => mayRefuse(() => readTaskManifest(text))), { numRuns: 300 });
  });
});
