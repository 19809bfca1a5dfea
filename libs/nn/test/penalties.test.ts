import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { buildModel, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { Scope, mlp, withPenalties, type Mode, type Network, type Penalties } from "../src/index.ts";

const weights: Readonly<Record<string, readonly number[]>> = { "layers.0.weight": [1, -2], "layers.0.bias": [5] };
const network: Network = (nn) => ({ outputs: { y: mlp(nn, nn.input("x", "FP32", [1, 2]), { outputs: 1 }) } });

/** The penalties that a network has in a mode, in their order. */
async function penaltiesOf(penalties: Penalties, mode: Mode = "train"): Promise<number[]> {
  const nn = new Scope({ mode, weights: (name) => Float32Array.from(weights[name] ?? []) });
  withPenalties(network, penalties)(nn);
  if (nn.penalties.length === 0) return [];
  const session = await ort.InferenceSession.create(buildModel({ graph: nn.graph, outputs: Object.fromEntries(nn.penalties.map((value: Value, index) => [`p${index}`, value])) }));
  const results = await session.run({ x: new ort.Tensor("float32", [0, 0], [1, 2]) });
  return session.outputNames.map((name) => Number(results[name]?.data[0]));
}

describe("penalties", () => {
  it("add up magnitudes and squares of weights, not of biases", async () => {
    assert.deepEqual(await penaltiesOf({ l1: 0.5, l2: 2 }), [1.5, 10]);
  });

  it("hold the parameters that they are told", async () => {
    assert.deepEqual(await penaltiesOf({ l1: 1, of: ({ name }) => name.endsWith("bias") }), [5]);
  });

  it("are there only while a network trains, and only where they have a strength", async () => {
    assert.deepEqual(await penaltiesOf({ l1: 1 }, "eval"), []);
    assert.deepEqual(await penaltiesOf({}), []);
  });
});
