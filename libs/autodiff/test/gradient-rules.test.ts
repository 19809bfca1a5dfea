import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { Graph, buildModel, reduceSum, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { RULES, gradients } from "../src/index.ts";
import { buildCases, type CaseGraphs, type CaseResult } from "./rule-cases/case-graphs.ts";
import { ELEMENTWISE_CASES } from "./rule-cases/elementwise.ts";
import { goldenCases } from "./rule-cases/golden-cases.ts";
import { PRODUCT_CASES } from "./rule-cases/products.ts";
import { shapesOf, type RuleCase } from "./rule-cases/rule-case.ts";
import { SHAPE_CASES } from "./rule-cases/shape.ts";

const GOLDENS = goldenCases();
const CASES: readonly RuleCase[] = [...ELEMENTWISE_CASES, ...PRODUCT_CASES, ...SHAPE_CASES, ...GOLDENS];
/** Central differences in f32: error ≈ step² · third derivative + rounding / step. */
const STEP = 4e-3;
const APART = 3 * STEP;
type Points = ReadonlyMap<RuleCase, readonly (readonly number[])[]>;

describe("gradient rules", () => {
  const points: Points = new Map(CASES.map((rule) => [rule, pointOf(rule)]));
  let fixed: CaseGraphs;
  let open: CaseGraphs;
  let got: ReadonlyMap<RuleCase, CaseResult>;
  let gotOpen: ReadonlyMap<RuleCase, CaseResult>;
  let numeric: ReadonlyMap<RuleCase, readonly (readonly number[])[]>;

  before(async () => {
    [fixed, open] = [await buildCases(CASES, false), await buildCases(CASES.filter(({ fixedSizes }) => fixedSizes !== true), true)];
    [got, gotOpen, numeric] = [await fixed.results(points), await open.results(points), await differences(fixed, points)];
  });

  for (const rule of CASES) {
    const differentiable = rule.instead === undefined || rule.instead === "zero";
    it(`of ${rule.op} on ${shapesOf(rule).map((shape) => `[${shape.join()}]`).join(" ")}${rule.about === undefined ? "" : `, ${rule.about}`}, agree with ${[...(differentiable ? ["finite differences"] : []), ...(rule.expected === undefined ? [] : ["PyTorch"])].join(" and ") || "their shapes"}`, () => {
      const failed = fixed.errorOf(rule) ?? open.errorOf(rule);
      if (failed instanceof Error) throw failed;
      const result = got.get(rule);
      assert.ok(result);
      for (const { shape, inferred } of result.outputs) {
        assert.equal(shape.length, inferred.length, "the inferred rank");
        for (const [axis, size] of inferred.entries()) if (typeof size === "number") assert.equal(shape[axis], size, "the inferred size");
      }
      for (const [input, elements] of (points.get(rule) ?? []).entries()) {
        const analytic: readonly number[] = result.gradients[input] ?? [];
        assert.equal(analytic.length, elements.length, "a gradient has the shape of its value");
        // Finite differences in f32 are good to three digits.
        if (differentiable) close(analytic, rule.instead === "zero" ? elements.map(() => 0) : (numeric.get(rule)?.[input] ?? []), 3e-3, `d${input}, numerically`);
        const expected = rule.expected?.[input];
        if (expected !== undefined) close(analytic, expected, 1e-5, `d${input}, by PyTorch`);
        // The same where no size is known before the run.
        if (rule.fixedSizes !== true) close(gotOpen.get(rule)?.gradients[input] ?? [], analytic, 1e-4, `sizes unknown: d${input}`);
      }
      for (const [output, expected] of rule.expectedOutputs?.entries() ?? []) close(result.outputs[output]?.values ?? [], expected, 1e-5, `y${output}, by PyTorch`);
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

  it("have a case of finite differences each", () => assert.deepEqual([...new Set(CASES.map(({ op }) => op))].sort(), Object.keys(RULES).sort()));

  it("have a golden of PyTorch each", () => assert.deepEqual([...new Set(GOLDENS.map(({ op }) => op))].sort(), Object.keys(RULES).sort()));
});

/** Each element within a share of its size and of the largest. */
function close(got: readonly number[], want: readonly number[], tolerance: number, what: string): void {
  assert.equal(got.length, want.length, `${what}: as many elements`);
  const largest = want.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  for (const [index, value] of want.entries()) assert.ok(Math.abs(value - (got[index] ?? NaN)) <= tolerance * largest, `${what} [${index}]: ${got[index]}, expected ${value}`);
}

/** Every case's k-th element is moved in the same two runs. */
async function differences(graphs: CaseGraphs, points: Points): Promise<ReadonlyMap<RuleCase, readonly (readonly number[])[]>> {
  const slopes = new Map([...points].map(([rule, point]) => [rule, point.map((values) => values.map(() => 0))]));
  const count = Math.max(...[...points.values()].map((point) => point.flat().length));
  for (let at = 0; at < count; at++) {
    const moved = (delta: number): Points => new Map([...points].map(([rule, point]) => [rule, shifted(point, at, delta)]));
    const [above, below] = [await graphs.losses(moved(STEP)), await graphs.losses(moved(-STEP))];
    for (const [rule, slope] of slopes) set(slope, at, ((above.get(rule) ?? NaN) - (below.get(rule) ?? NaN)) / (2 * STEP));
  }
  return slopes;
}

function shifted(point: readonly (readonly number[])[], at: number, delta: number): readonly (readonly number[])[] {
  const copy = point.map((values) => [...values]);
  set(copy, at, (before) => before + delta);
  return copy;
}

function set(point: number[][], at: number, value: number | ((before: number) => number)): void {
  let rest = at;
  for (const values of point) {
    if (rest < values.length) {
      values[rest] = typeof value === "number" ? value : value(values[rest] ?? 0);
      return;
    }
    rest -= values.length;
  }
}

/** Values that lie apart from each other and from zero, where kinks and ties are. */
function pointOf({ values, range: [low, high] = [-2, 2], ...rule }: RuleCase): readonly (readonly number[])[] {
  if (values !== undefined) return values;
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
