import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, add, buildModel, importGraph, mul, readModel, reduceSum, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { RULES, gradients } from "../src/index.ts";
import { ELEMENTWISE_CASES } from "./rule-cases/elementwise.ts";
import { PRODUCT_CASES } from "./rule-cases/products.ts";
import type { RuleCase } from "./rule-cases/rule-case.ts";
import { SHAPE_CASES } from "./rule-cases/shape.ts";

const CASES = [...ELEMENTWISE_CASES, ...PRODUCT_CASES, ...SHAPE_CASES];
/** Central differences in f32: error ≈ step² · third derivative + rounding / step. */
const STEP = 4e-3;
const APART = 3 * STEP;

/** The one-node models state no shape of their output, which onnxruntime remarks upon. */
const QUIET = { logSeverityLevel: 3 } as const;

describe("gradient rules", () => {
  for (const rule of CASES) {
    it(`of ${rule.op} on ${shapesOf(rule).map((shape) => `[${shape.join()}]`).join(" ")}${rule.about === undefined ? "" : `, ${rule.about}`}, agree with finite differences`, async () => {
      const point = pointOf(rule);
      const fixed = await differentiate(rule, false);
      const weights = await fixed.weights(point);

      const got = await fixed.run(point, weights);

      for (const [input, elements] of point.entries()) {
        const analytic = got.gradients[input] ?? [];
        assert.equal(analytic.length, elements.length, "a gradient has the shape of its value");
        for (const index of elements.keys()) {
          if (rule.instead === "through") continue;
          const lossAt = async (delta: number): Promise<number> => (await fixed.run(point.map((values, which) => values.map((value, at) => (which === input && at === index ? value + delta : value))), weights)).loss;
          const numeric = rule.instead === "zero" ? 0 : ((await lossAt(STEP)) - (await lossAt(-STEP))) / (2 * STEP);
          assert.ok(Math.abs(numeric - (analytic[index] ?? NaN)) <= 3e-3 + 3e-3 * Math.abs(numeric), `${rule.op} d${input}[${index}]: ${analytic[index]}, numerically ${numeric}`);
        }
      }
      if (rule.fixedSizes === true) return;
      // The same where no size is known before the run.
      const open = await (await differentiate(rule, true)).run(point, weights);
      for (const [input, expected] of got.gradients.entries()) for (const [index, value] of expected.entries()) assert.ok(Math.abs((open.gradients[input]?.[index] ?? NaN) - value) <= 1e-4 + 1e-4 * Math.abs(value), `sizes unknown: d${input}[${index}]`);
    });
  }

  it("lead through quantization straight, where nothing was cut off", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [4]);
    const [scale, zero] = [graph.constant("FP32", [], [0.1]), graph.constant("UINT8", [], [128])];
    const quantized = graph.node("QuantizeLinear", [x, scale, zero], { datatype: "UINT8", shape: [4] });
    const y = graph.node("DequantizeLinear", [quantized, scale, zero], { datatype: "FP32", shape: [4] });
    const [dx] = gradients(graph, reduceSum(graph, y, [0]), [x]);
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { dx: dx as Value } }));

    const results = await session.run({ x: new ort.Tensor("float32", [0.3, -12.81, 12.9, -100], [4]) });

    assert.deepEqual(Array.from(results["dx"]?.data as Float32Array), [1, 1, 0, 0]);
  });

  it("have a case each", () => assert.deepEqual([...new Set(CASES.map(({ op }) => op))].sort(), Object.keys(RULES).sort()));
});

function isShape(operand: RuleCase["operands"][number]): operand is readonly number[] {
  return Array.isArray(operand);
}

function shapesOf({ operands }: Pick<RuleCase, "operands">): (readonly number[])[] {
  return operands.filter(isShape);
}

/** Values that lie apart from each other and from zero, where kinks and ties are. */
function pointOf({ values, range: [low, high] = [-2, 2], ...rule }: RuleCase): number[][] {
  if (values !== undefined) return values.map((each) => [...each]);
  let state = 12345;
  const taken: number[] = [0, 0.5, 0.75, 0.9, -1, 1];
  const next = (): number => {
    for (;;) {
      state = (state * 1103515245 + 12345) % 2147483648;
      const value = low + (state / 2147483648) * (high - low);
      if (taken.some((other) => Math.abs(other - value) < APART)) continue;
      taken.push(value);
      return value;
    }
  };
  return shapesOf(rule).map((shape) => Array.from({ length: shape.reduce((product, size) => product * size, 1) }, next));
}

/** A model of one node, read back as a stranger's would be. */
function modelOf({ op, operands, attributes = {}, outputCount = 1, opset }: RuleCase, open: boolean): Uint8Array {
  const graph = new Graph();
  if (opset !== undefined) graph.opset = opset;
  const [domain, opType] = op.includes("::") ? (op.split("::") as [string, string]) : ["", op];
  const inputs = operands.map((operand, index): Value | undefined => {
    if (operand === undefined) return undefined;
    return isShape(operand) ? graph.input(`x${index}`, "FP32", open ? operand.map((size, axis) => openSize(opType, index, size, axis)) : operand) : graph.weight(`c${index}`, operand);
  });
  if (opType.endsWith("uantizeLinear")) {
    const quantized = graph.node("QuantizeLinear", inputs, { datatype: "UINT8", shape: ["?"] });
    return buildModel({ graph, outputs: { y0: graph.node("DequantizeLinear", [quantized, ...inputs.slice(1)], { datatype: "FP32", shape: ["?"] }) } });
  }
  const outputs = graph.nodeOf(opType, inputs, Array.from({ length: outputCount }, (_, index) => ({ datatype: "FP32" as const, shape: ["?"], name: `y${index}` })), attributes, domain);
  return buildModel({ graph, outputs: { y0: outputs[0] as Value, ...(opType === "Split" ? { y1: outputs[1] as Value } : {}) } });
}

/** Weights of convolutions and channel counts are known in every real model; batches and spatial sizes vary. */
function openSize(opType: string, operand: number, size: number, axis: number): number | string {
  const keeps = (opType.startsWith("Conv") && (operand > 0 || axis === 1)) || (opType === "AveragePool" && axis === 1) || (opType.endsWith("Normalization") && operand > 0) || (opType === "Squeeze" && size === 1);
  return keeps ? size : `x${operand}_${axis}`;
}

async function differentiate(rule: RuleCase, open: boolean): Promise<{ run: (at: readonly (readonly number[])[], weights: readonly ort.Tensor[]) => Promise<{ loss: number; gradients: number[][] }>; weights: (at: readonly (readonly number[])[]) => Promise<ort.Tensor[]> }> {
  const bytes = modelOf(rule, open);
  const forward = await ort.InferenceSession.create(bytes, QUIET);
  const { graph, inputs, outputs } = importGraph(readModel(bytes));
  // A weighted sum, so that every element of every output has a gradient of its own.
  const sums = [...outputs.values()].map((y, index) => reduceSum(graph, mul(graph, y, graph.input(`w${index}`, y.datatype, y.shape)), y.shape.map((_, axis) => axis)));
  const loss = sums.reduce((total, sum) => add(graph, total, sum));
  const wrt = [...inputs.values()];
  const grads = gradients(graph, loss, wrt);
  const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { loss, ...Object.fromEntries(grads.map((gradient, index) => [`d${index}`, gradient])) } }), QUIET);
  const shapes = shapesOf(rule);
  const feeds = (at: readonly (readonly number[])[]): Record<string, ort.Tensor> => Object.fromEntries([...inputs.keys()].map((name, index) => [name, new ort.Tensor("float32", Float32Array.from(at[index] ?? []), [...(shapes[index] ?? [])])]));
  return {
    run: async (at, weights) => {
      const results = await session.run({ ...feeds(at), ...Object.fromEntries(weights.map((weight, index) => [`w${index}`, weight])) });
      return { loss: Number(results["loss"]?.data[0]), gradients: grads.map((_, index) => Array.from(results[`d${index}`]?.data as Float32Array)) };
    },
    weights: async (at) => {
      const results = await forward.run(feeds(at));
      return [...outputs].map(([name, value]) => {
        const y = results[name] as ort.Tensor;
        assert.equal(y.dims.length, value.shape.length, "the inferred rank");
        for (const [axis, size] of value.shape.entries()) if (typeof size === "number") assert.equal(y.dims[axis], size, "the inferred size");
        return y.type === "float32" ? new ort.Tensor("float32", Float32Array.from({ length: y.size }, (_, index) => Math.sin(7.3 + index * 1.7)), y.dims) : y;
      });
    },
  };
}

