import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { elementsOf, tensorOf, type Tensor } from "@servable/tensor";
import { encodeSafetensors, openSafetensors, readSafetensors } from "./index.ts";

const golden = Buffer.from((JSON.parse(readFileSync(new URL("safetensors.golden.json", import.meta.url), "utf8")) as { file: string }).file, "base64");

/** A file with this header, whatever it says. */
function fileOf(header: unknown, dataBytes = 0, text = typeof header === "string" ? header : JSON.stringify(header)): Uint8Array {
  const json = new TextEncoder().encode(text);
  const file = new Uint8Array(8 + json.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

describe("safetensors", () => {
  it("reads a file of the reference implementation", () => {
    const { tensors, metadata } = readSafetensors(new Uint8Array(golden));

    const values = Object.fromEntries([...tensors].map(([name, tensor]) => [name, elementsOf(tensor)]));
    assert.deepEqual(values, { weight: [0, 0.25, 0.5, 0.75, 1, 1.25], scalar: [2.5], ids: [1n, -2n, 3n], flags: [true, false, true], half: [0.5, -1.5], empty: [] });
    assert.deepEqual(tensors.get("weight")?.shape, [2, 3]);
    assert.deepEqual(tensors.get("scalar")?.shape, []);
    assert.deepEqual(metadata, { format: "np", step: "7" });
  });

  it("writes what it reads, the same bytes for the same tensors in any order", () => {
    const tensors = new Map<string, Tensor>([["b", tensorOf("UINT8", [3], [1, 2, 3])], ["a", tensorOf("FP32", [2], [1, 2])], ["c", tensorOf("INT64", [1], [-5n])]]);

    const bytes = encodeSafetensors({ tensors, metadata: { step: "3" } });

    const read = readSafetensors(bytes);
    for (const [name, tensor] of tensors) assert.deepEqual(elementsOf(read.tensors.get(name) as Tensor), elementsOf(tensor));
    assert.deepEqual(read.metadata, { step: "3" });
    assert.deepEqual(encodeSafetensors({ tensors: new Map([...tensors].reverse()), metadata: { step: "3" } }), bytes);
  });

  it("gives views of the bytes, aligned for their datatype", () => {
    const bytes = encodeSafetensors({ tensors: new Map([["odd", tensorOf("UINT8", [3], [1, 2, 3])], ["wide", tensorOf("FP32", [1], [1])]]) });

    const { data } = readSafetensors(bytes).tensors.get("wide") as Tensor;

    assert.equal(data.buffer, bytes.buffer);
    assert.equal(data.byteOffset % 4, 0);
  });

  it("reads one tensor of a large file without the others", async () => {
    const read: [number, number][] = [];
    const file = await openSafetensors({ byteLength: golden.length, read: (start, end) => (read.push([start, end]), Promise.resolve(new Uint8Array(golden.subarray(start, end)))) });

    assert.deepEqual(elementsOf(await file.tensor("ids")), [1n, -2n, 3n]);

    assert.equal(read.length, 3); // length, header, the tensor
    await assert.rejects(file.tensor("absent"), /there is no tensor "absent"/);
  });

  const entry = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
  const MALFORMED: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "an empty file": [new Uint8Array(), /too short/],
    "a header longer than the file": [fileOf({ a: entry }, 8).subarray(0, 20), /cut off/],
    "a huge header": [Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 127, 0x7b, 0x7d), /at most 100000000 are read/],
    "a header that is no JSON": [fileOf("{nope", 0), /no valid JSON/],
    "a header that is no UTF-8": [Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe), /no valid JSON/],
    "a header that is a list": [fileOf("[1]"), /no JSON object/],
    "an entry that is no object": [fileOf({ a: 3 }), /"a" is no JSON object/],
    "an unknown dtype": [fileOf({ a: { ...entry, dtype: "F8_E4M3" } }, 8), /"a" has the dtype "F8_E4M3"/],
    "a negative size": [fileOf({ a: { ...entry, shape: [-2] } }, 8), /"a" has the shape \[-2\]/],
    "offsets that do not hold the shape": [fileOf({ a: { ...entry, shape: [3] } }, 8), /takes 12 bytes, its offsets \[0, 8\] hold 8/],
    "a size whose product overflows": [fileOf({ a: { ...entry, shape: [2 ** 52, 2 ** 52] } }, 8), /takes .* bytes/],
    "tensors that overlap": [fileOf({ a: entry, b: { ...entry, data_offsets: [4, 12] } }, 12), /"b" begins at byte 4 .* overlap/],
    "tensors with a gap": [fileOf({ a: entry, b: { ...entry, data_offsets: [12, 20] } }, 20), /"b" begins at byte 12 .* gap/],
    "a file that is cut off": [fileOf({ a: entry }, 4), /cut off/],
    "a file with bytes after the last tensor": [fileOf({ a: entry }, 9), /belong to no tensor/],
    "metadata that is no text": [fileOf({ __metadata__: { step: 3 } }), /__metadata__ "step" is no text/],
  };
  for (const [name, [bytes, message]] of Object.entries(MALFORMED)) {
    it(`refuses ${name}`, () => {
      assert.throws(() => readSafetensors(bytes), (error) => error instanceof StatusError && error.reason === "WEIGHTS_MALFORMED" && message.test(error.message));
    });
  }
});
