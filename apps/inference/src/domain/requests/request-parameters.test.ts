import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import type { InferParameter } from "@servable/open-inference";
import { readRequestParameters } from "./request-parameters.ts";
import { sharedMemoryPartOf } from "./shared-tensors.ts";

const read = (parameters: Record<string, InferParameter>) => readRequestParameters(new Map(Object.entries(parameters)));
const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    assert.equal((error as StatusError).code, "INVALID_ARGUMENT");
    return (error as StatusError).message;
  }
  return "";
};
const bool = (value: boolean): InferParameter => ({ kind: "bool", value });
const int = (value: bigint): InferParameter => ({ kind: "int64", value });
const uint = (value: bigint): InferParameter => ({ kind: "uint64", value });
const text = (value: string): InferParameter => ({ kind: "string", value });

describe("request parameters", () => {
  it("reads the protocol's own words and leaves the rest to the model", () => {
    assert.deepEqual(read({ sequence_id: int(7n), sequence_start: bool(true), sequence_end: bool(false), priority: uint(2n), timeout: int(500n), triton_enable_empty_final_response: bool(true), a: text("x"), b: { kind: "double", value: 0.5 } }), {
      sequence: { id: "7", numericId: 7n, start: true, end: false },
      priority: 2,
      queueTimeoutUs: 500,
      wantsEmptyFinalResponse: true,
      parameters: new Map<string, unknown>([["a", "x"], ["b", 0.5]]),
    });
  });

  const sequences = [
    { what: "a word", parameter: text("s-1"), id: "s-1", numericId: undefined },
    { what: "an unsigned number in the signed field", parameter: int(-1n), id: "18446744073709551615", numericId: 2n ** 64n - 1n },
  ];
  for (const { what, parameter, id, numericId } of sequences) {
    it(`takes ${what} for a sequence`, () => assert.deepEqual(read({ sequence_id: parameter }).sequence, { id, numericId, start: false, end: false }));
  }

  it("takes 0 and the empty text for no sequence", () => {
    assert.equal(read({ sequence_id: int(0n), sequence_start: bool(true) }).sequence, undefined);
    assert.equal(read({ sequence_id: text("") }).sequence, undefined);
  });

  const refused: [string, Record<string, InferParameter>, RegExp][] = [
    ["a sequence id that is unsigned", { sequence_id: uint(1n) }, /'sequence_id' parameter, expected int64_param or string_param/],
    ["a start flag that is a number", { sequence_start: int(1n) }, /'sequence_start' parameter, expected bool_param/],
    ["a priority that is a text", { priority: text("1") }, /'priority' parameter, expected int64_param or uint64_param/],
    ["a negative priority", { priority: int(-1n) }, /'priority' is -1/],
    ["an unsigned timeout", { timeout: uint(1n) }, /'timeout' parameter, expected int64_param/],
    ["a negative timeout", { timeout: int(-5n) }, /'timeout' is -5/],
    ["reserved names", { triton_mine: bool(true) }, /parameter keys starting with 'triton_' are reserved for Triton usage/],
    ["headers", { headers: text("x") }, /'headers' is reserved/],
    ["unsigned numbers of the caller's own", { mine: uint(1n) }, /'mine' parameter, expected/],
    ["too many", Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`p${index}`, bool(true)])), /1000 parameters/],
  ];
  for (const [what, parameters, message] of refused) {
    it(`refuses ${what}`, () => assert.match(messageOf(() => read(parameters)), message));
  }
});

describe("shared memory parameters", () => {
  const partOf = (entries: Record<string, bigint | string | boolean>) => sharedMemoryPartOf(new Map(Object.entries(entries)), "input 'x'");

  it("name a part of a region, from its beginning unless told otherwise", () => {
    assert.deepEqual(partOf({ shared_memory_region: "r", shared_memory_byte_size: 4n }), { region: "r", offset: 0, byteSize: 4 });
    assert.deepEqual(partOf({ shared_memory_region: "r", shared_memory_byte_size: 4n, shared_memory_offset: 8n }), { region: "r", offset: 8, byteSize: 4 });
    assert.equal(partOf({ other: true }), undefined);
  });

  const refused: [string, Record<string, bigint | string | boolean>, RegExp][] = [
    ["a region without a size", { shared_memory_region: "r" }, /'shared_memory_region' must be specified along with 'shared_memory_byte_size'/],
    ["a size without a region", { shared_memory_byte_size: 1n }, /'shared_memory_byte_size' must be specified along with 'shared_memory_region'/],
    ["an offset alone", { shared_memory_offset: 1n }, /needs 'shared_memory_region'/],
    ["a region that is a number", { shared_memory_region: 1n, shared_memory_byte_size: 1n }, /expected string_param/],
    ["a size that is a text", { shared_memory_region: "r", shared_memory_byte_size: "1" }, /expected int64_param/],
    ["a negative offset", { shared_memory_region: "r", shared_memory_byte_size: 1n, shared_memory_offset: -1n }, /'shared_memory_offset' is -1/],
  ];
  for (const [what, parameters, message] of refused) {
    it(`refuse ${what}`, () => assert.match(messageOf(() => partOf(parameters)), message));
  }
});
