import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelInferResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { elementsOf, tensorOf } from "@servable/tensor";
import type { Caller } from "./caller.ts";
import type { Route } from "./router.ts";
import { createTextGenerator, type GenerationRequest } from "./text-generator.ts";
import { createSampler } from "./token-sampler.ts";

/** Tokens are characters of this alphabet; the last one ends a text. */
const ALPHABET = "abcdefgh#";
const END = ALPHABET.length - 1;
const caller: Caller = { identity: { project: "p", principal: "k", role: "user" }, requestId: "r", signal: new AbortController().signal, deadline: undefined };
const tokenizer = {
  encode: (texts: readonly string[]) => ({ texts: texts.map((text) => ({ ids: [...text].map((character) => ALPHABET.indexOf(character)) })) }),
  decode: (ids: readonly number[]) => ids.map((id) => ALPHABET[id] ?? "").join(""),
};

/** A model that answers the letter after the last one, "h" and then the end. */
function generatorOf(positions = 100) {
  const asked: number[] = [];
  const route = { project: "p", model: "m", version: "1", signature: { inputs: [{ name: "input_ids", datatype: "INT64", shape: [-1n, -1n] }], outputs: [{ name: "logits", datatype: "FP32", shape: [-1n, -1n, 9n] }] } } as unknown as Route;
  const generator = createTextGenerator({
    router: { find: async () => route },
    inference: {
      infer: async (bytes) => {
        const request = fromBinary(ModelInferRequestSchema, bytes);
        const ids = elementsOf({ datatype: "INT64", shape: request.inputs[0]?.shape.map(Number) ?? [], data: request.rawInputContents[0] ?? new Uint8Array() }).map(Number);
        asked.push(ids.length);
        const logits = ids.flatMap((id) => Array.from({ length: ALPHABET.length }, (_, next) => (next === Math.min(id + 1, END) ? 5 : 0)));
        return toBinary(ModelInferResponseSchema, create(ModelInferResponseSchema, { outputs: [{ name: "logits", datatype: "FP32", shape: [1n, BigInt(ids.length), 9n] }], rawOutputContents: [tensorOf("FP32", [1, ids.length, 9], logits).data] }));
      },
    },
    files: async () => ({ tokenizer: tokenizer as never, endIds: new Set([END]), positions }),
  });
  const say = async (request: Partial<GenerationRequest>) => {
    const pieces: string[] = [];
    const answer = generator.generate({ model: "m", prompt: "a", tokensMax: undefined, stop: [], temperature: 0, topP: 1, seed: undefined, ...request }, caller);
    let next = await answer.next();
    for (; next.done !== true; next = await answer.next()) pieces.push(next.value.text);
    return { text: pieces.join(""), pieces, end: next.value };
  };
  return { say, asked };
}

describe("a text generator", () => {
  it("says token by token until the end token, the whole text going in each time", async () => {
    const { say, asked } = generatorOf();

    const { text, end } = await say({ prompt: "ab" });

    assert.equal(text, "cdefgh");
    assert.deepEqual(end, { finishReason: "stop", promptTokens: 2, completionTokens: 7 });
    assert.deepEqual(asked, [2, 3, 4, 5, 6, 7, 8]);
  });

  it("ends at its limit, and at the model's positions", async () => {
    assert.deepEqual((await generatorOf().say({ tokensMax: 2 })).text, "bc");
    assert.deepEqual((await generatorOf(4).say({})).end, { finishReason: "length", promptTokens: 1, completionTokens: 3 });
  });

  it("stops before a stop text, of which nothing is said, also when it comes in pieces", async () => {
    const { text, pieces, end } = await generatorOf().say({ stop: ["ef"] });

    assert.equal(text, "bcd");
    assert.equal(end.finishReason, "stop");
    assert.ok(pieces.every((piece) => !piece.includes("e")));
  });

  it("says what looked like a stop text and was none", async () => {
    assert.equal((await generatorOf().say({ stop: ["ex"], tokensMax: 4 })).text, "bcde");
  });

  it("refuses a prompt that leaves no room, and an empty one", async () => {
    await assert.rejects(generatorOf(3).say({ prompt: "abc" }), /has 3 tokens and m reads 3/);
    await assert.rejects(generatorOf().say({ prompt: "" }), /prompt is empty/);
  });
});

describe("a sampler", () => {
  const logits = Float32Array.from([Math.log(0.5), Math.log(0.3), Math.log(0.15), Math.log(0.05)]);
  const frequencies = (options: { temperature: number; topP: number }): number[] => {
    const sample = createSampler({ ...options, seed: 1 });
    const counts = [0, 0, 0, 0];
    for (let round = 0; round < 4_000; round++) {
      const { id } = sample(logits, 0);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    return counts.map((count) => count / 4_000);
  };

  it("draws by the model's probabilities at temperature 1", () => {
    frequencies({ temperature: 1, topP: 1 }).forEach((share, id) => assert.ok(Math.abs(share - ([0.5, 0.3, 0.15, 0.05][id] ?? 0)) < 0.03, `${id}: ${share}`));
  });

  it("keeps the likeliest tokens that make up top_p, and always one", () => {
    const [, , third, fourth] = frequencies({ temperature: 1, topP: 0.75 });
    assert.deepEqual([third, fourth], [0, 0]);
    assert.deepEqual(frequencies({ temperature: 1, topP: 0 }), [1, 0, 0, 0]);
  });

  it("takes the likeliest at temperature 0, the first of equals", () => {
    assert.equal(createSampler({ temperature: 0, topP: 1, seed: undefined })(Float32Array.from([1, 3, 3]), 0).id, 1);
  });

  it("tells logarithms under the model itself, the likeliest first", () => {
    const { logprob, top } = createSampler({ temperature: 0, topP: 1, seed: undefined })(logits, 2);

    assert.ok(Math.abs(logprob - Math.log(0.5)) < 1e-6);
    assert.deepEqual(top.map(({ id }) => id), [0, 1]);
  });
});
