import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ModelConfigSchema, type ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { elementsOf, tensorOf } from "@servable/tensor";
import fc from "fast-check";
import type { Executor, InferContext, InferRequest } from "./executor.ts";
import type { Signature } from "../config/signature.ts";
import { PaddingExecutor, cutAxis, padAxis } from "./padding-executor.ts";
import { madeInputsOf, paddingRulesOf } from "../config/padding-rules.ts";

const signature: Signature = {
  inputs: [
    { name: "ids", datatype: "INT64", shape: [-1, -1] },
    { name: "mask", datatype: "INT64", shape: [-1, -1] },
  ],
  outputs: [{ name: "states", datatype: "FP32", shape: [-1, -1, 2] }],
};
const configOf = (parameters: Record<string, object | string>): ModelConfig => create(ModelConfigSchema, { parameters: Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, { stringValue: typeof value === "string" ? value : JSON.stringify(value) }])) });
const config = configOf({ "servable.padding.ids": { axis: 1, buckets: [4, 8], value: 9, mask: "mask" }, "servable.unpad.states": { axis: 1, input: "ids" } });
const CONTEXT: InferContext = { signal: new AbortController().signal, deadline: undefined, project: "p", requestId: "r" };

/** An executor that remembers what it was asked and answers states of the padded length: [row, position]. */
function recorder(): Executor & { asked: InferRequest[] } {
  const asked: InferRequest[] = [];
  return {
    asked,
    pids: [],
    restartCount: 0,
    queueLength: 0,
    infer: async (request) => {
      asked.push(request);
      const [rows = 0, length = 0] = request.inputs[0]?.shape ?? [];
      const values = Array.from({ length: rows * length }, (_, index) => [Math.floor(index / length), index % length]).flat();
      return { outputs: [{ name: "states", ...tensorOf("FP32", [rows, length, 2], values) }], timings: { queueNs: 0, inputNs: 0, inferNs: 0, outputNs: 0, executedBatchSize: 1, countsExecution: true } };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}
const request = (...inputs: NamedTensor[]): InferRequest => ({ id: "", inputs, outputs: [], batchSize: 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined });
const ids = (shape: number[], values: bigint[]): NamedTensor => ({ name: "ids", ...tensorOf("INT64", shape, values) });

describe("padding", () => {
  const rules = paddingRulesOf(signature, config);
  assert.ok(rules !== undefined);

  it("fills up to the next bucket, makes the mask, and cuts the output back", async () => {
    const inner = recorder();
    const { outputs } = await new PaddingExecutor(inner, signature, rules).infer(request(ids([2, 3], [1n, 2n, 3n, 4n, 5n, 6n])), CONTEXT);

    const [padded, mask] = inner.asked[0]?.inputs ?? [];
    assert.deepEqual([padded?.shape, elementsOf(padded as NamedTensor)], [[2, 4], [1n, 2n, 3n, 9n, 4n, 5n, 6n, 9n]]);
    assert.deepEqual([mask?.shape, elementsOf(mask as NamedTensor)], [[2, 4], [1n, 1n, 1n, 0n, 1n, 1n, 1n, 0n]]);
    assert.deepEqual(outputs[0]?.shape, [2, 3, 2]);
    assert.deepEqual(elementsOf(outputs[0]), [0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2]);
  });

  it("fills up a mask that the caller sends, with zeros", async () => {
    const inner = recorder();
    await new PaddingExecutor(inner, signature, rules).infer(request(ids([1, 2], [1n, 2n]), { name: "mask", ...tensorOf("INT64", [1, 2], [0n, 1n]) }), CONTEXT);

    assert.deepEqual(elementsOf(inner.asked[0]?.inputs[1] as NamedTensor), [0n, 1n, 0n, 0n]);
  });

  it("leaves alone what is longer than the largest bucket", async () => {
    const inner = recorder();
    const { outputs } = await new PaddingExecutor(inner, signature, rules).infer(request(ids([1, 9], Array<bigint>(9).fill(1n))), CONTEXT);

    assert.deepEqual([inner.asked[0]?.inputs[0]?.shape, outputs[0]?.shape], [[1, 9], [1, 9, 2]]);
  });

  it("lets callers leave the mask out", () => {
    assert.deepEqual(madeInputsOf(config), ["mask"]);
  });

  it("gives back by cutting what padding was given", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 2, maxLength: 4 }), fc.nat(3), fc.integer({ min: 0, max: 5 }), (shape, axisSeed, more) => {
        const axis = axisSeed % shape.length;
        const count = shape.reduce((all, dimension) => all * dimension, 1);
        const tensor: NamedTensor = { name: "x", ...tensorOf("INT32", shape, Array.from({ length: count }, (_, index) => index)) };
        const padded = padAxis(tensor, axis, (shape[axis] ?? 0) + more, -1);

        assert.equal(elementsOf(padded).filter((value) => value === -1).length, (count / (shape[axis] ?? 1)) * more);
        assert.deepEqual(elementsOf(cutAxis(padded, axis, shape[axis] ?? 0)), elementsOf(tensor));
      }),
    );
  });

  const wrong: { what: string; parameters: Record<string, object | string>; says: RegExp }[] = [
    { what: "no JSON", parameters: { "servable.padding.ids": "x" }, says: /must be a JSON object/ },
    { what: "an unknown input", parameters: { "servable.padding.x": { buckets: [1] } }, says: /no input "x", only ids, mask/ },
    { what: "buckets that fall", parameters: { "servable.padding.ids": { buckets: [8, 4] } }, says: /ascending lengths/ },
    { what: "the batch as axis", parameters: { "servable.padding.ids": { axis: 0, buckets: [4] } }, says: /"axis" must be a variable dimension of "ids"/ },
    { what: "a mask that is no input", parameters: { "servable.padding.ids": { buckets: [4], mask: "m" } }, says: /no mask "m"/ },
    { what: "a word that is not known", parameters: { "servable.padding.ids": { buckets: [4], lengths: [] } }, says: /"lengths" is not known/ },
    { what: "an output of an input that is not padded", parameters: { "servable.padding.ids": { buckets: [4] }, "servable.unpad.states": { input: "mask" } }, says: /"mask", which is not padded/ },
  ];
  for (const { what, parameters, says } of wrong) {
    it(`refuses ${what}, naming the parameter`, () => {
      assert.throws(() => paddingRulesOf(signature, configOf(parameters)), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && says.test(error.message) && error.message.includes("servable."));
    });
  }
});
