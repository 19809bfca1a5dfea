import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, GraphError, buildModel, importGraph, ops, readModel, type Value } from "@servable/onnx";
import { seededRandom } from "@servable/testing";
import ort from "onnxruntime-node";
import { unrolled } from "../src/index.ts";

const [STEPS, BATCH, INPUTS, HIDDEN] = [5, 3, 4, 2];
const GATES: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, RNN: 1 };

interface Case {
  readonly opType: string;
  readonly attributes?: Readonly<Record<string, number | string | readonly string[] | { float: number }>>;
  readonly with?: readonly ("bias" | "lengths" | "states" | "peepholes")[];
}

/** A model of one recurrent node with seeded weights. */
function recurrentModel({ opType, attributes = {}, with: parts = [] }: Case, sizes: readonly (number | string)[] = [STEPS, BATCH, INPUTS]): Uint8Array {
  const random = seededRandom(11);
  const graph = new Graph();
  const directions = attributes["direction"] === "bidirectional" ? 2 : 1;
  const gates = GATES[opType] ?? 1;
  const weight = (...shape: number[]): Value => graph.constant("FP32", shape, Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => random.next() * 2 - 1));
  const has = (part: "bias" | "lengths" | "states" | "peepholes"): boolean => parts.includes(part);
  const x = graph.input("x", "FP32", sizes);
  const inputs = [x, weight(directions, gates * HIDDEN, INPUTS), weight(directions, gates * HIDDEN, HIDDEN), has("bias") ? weight(directions, 2 * gates * HIDDEN) : undefined, has("lengths") ? graph.constant("INT32", [BATCH], [5, 2, 4]) : undefined, has("states") ? weight(directions, BATCH, HIDDEN) : undefined];
  if (opType === "LSTM") inputs.push(has("states") ? weight(directions, BATCH, HIDDEN) : undefined, has("peepholes") ? weight(directions, 3 * HIDDEN) : undefined);
  const outputs = ops(graph, opType, inputs, { hidden_size: HIDDEN, ...attributes }, { outputCount: opType === "LSTM" ? 3 : 2 });
  return buildModel({ graph, outputs: Object.fromEntries(outputs.map((value, index) => [`y${index}`, value])) });
}

async function run(bytes: Uint8Array): Promise<number[][]> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const results = await session.run({ x: new ort.Tensor("float32", Float32Array.from({ length: STEPS * BATCH * INPUTS }, (_, index) => Math.sin(index * 1.7) * 1.5), [STEPS, BATCH, INPUTS]) });
  return session.outputNames.map((name) => Array.from(results[name]?.data as Float32Array));
}

const CASES: readonly Case[] = [
  ...["LSTM", "GRU", "RNN"].flatMap((opType): Case[] => [
    { opType },
    { opType, with: ["bias", "states"] },
    { opType, attributes: { direction: "reverse" }, with: ["bias"] },
    { opType, attributes: { direction: "bidirectional" }, with: ["bias", "states"] },
    { opType, attributes: { direction: "bidirectional" }, with: ["bias", "lengths", "states"] },
    { opType, attributes: { clip: { float: 0.5 } }, with: ["bias"] },
  ]),
  { opType: "GRU", attributes: { linear_before_reset: 1 }, with: ["bias", "states"] },
  { opType: "GRU", attributes: { linear_before_reset: 1, direction: "bidirectional" } },
  { opType: "LSTM", with: ["bias", "states", "peepholes"] },
  { opType: "LSTM", attributes: { input_forget: 1 }, with: ["bias"] },
  { opType: "RNN", attributes: { activations: ["Relu"] }, with: ["bias"] },
  { opType: "LSTM", attributes: { activations: ["Sigmoid", "Softsign", "Relu"] } },
];

describe("recurrent operators written out in time", () => {
  for (const each of CASES) {
    it(`give what onnxruntime's ${each.opType} gives: ${JSON.stringify({ ...each.attributes, with: each.with })}`, async () => {
      const bytes = recurrentModel(each);
      const { graph, outputs } = importGraph(readModel(bytes), { rewrite: (node, into) => unrolled(into, node) });

      const [want, got] = [await run(bytes), await run(buildModel({ graph, outputs: Object.fromEntries(outputs) }))];

      assert.equal(graph.nodes.some(({ opType }) => opType === each.opType), false);
      want.forEach((values, output) => values.forEach((value, index) => assert.ok(Math.abs((got[output]?.[index] ?? NaN) - value) < 2e-6, `output ${output} [${index}]: ${got[output]?.[index]} for ${value}`)));
    });
  }

  it("are refused where the number of steps is open, or activations have numbers of their own", () => {
    const open = readModel(recurrentModel({ opType: "GRU" }, ["steps", BATCH, INPUTS]));
    const scaled = readModel(recurrentModel({ opType: "RNN", attributes: { activations: ["ScaledTanh"] } }));
    const rewrite = (model: ReturnType<typeof readModel>) => () => importGraph(model, { rewrite: (node, into) => unrolled(into, node) });

    assert.throws(rewrite(open), (error) => error instanceof GraphError && /GRU.*number of steps is not known/.test(error.message));
    assert.throws(rewrite(scaled), (error) => error instanceof GraphError && /ScaledTanh.*supported are/.test(error.message));
  });
});
