import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, GraphError, add, buildModel, div, exp, gemm, identity, log, logSoftmax, matMul, mul, neg, reduceMean, reduceSum, relu, reshape, sigmoid, softmax, softplus, sub, tanh, transpose, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { RULES, gradients } from "./index.ts";

/** Deterministic values away from the kinks of relu. */
const values = (count: number, seed: number): number[] => Array.from({ length: count }, (_, index) => Math.sin(seed * 7.3 + index * 1.7) + (Math.sin(seed + index) > 0 ? 0.3 : -0.3));

interface Case {
  readonly op: string;
  readonly shapes: readonly (readonly number[])[];
  readonly build: (graph: Graph, ...inputs: Value[]) => Value;
  /** Moves all inputs into the operator's domain. */
  readonly positive?: boolean;
}
const cases: Case[] = [
  { op: "Add", shapes: [[2, 3], [3]], build: add },
  { op: "Sub", shapes: [[2, 1], [2, 3]], build: sub },
  { op: "Mul", shapes: [[2, 3], [1, 3]], build: mul },
  { op: "Div", shapes: [[2, 3], [3]], build: div, positive: true },
  { op: "Neg", shapes: [[3]], build: neg },
  { op: "Identity", shapes: [[3]], build: identity },
  { op: "Exp", shapes: [[2, 2]], build: exp },
  { op: "Log", shapes: [[2, 2]], build: log, positive: true },
  { op: "Relu", shapes: [[2, 4]], build: relu },
  { op: "Sigmoid", shapes: [[2, 4]], build: sigmoid },
  { op: "Tanh", shapes: [[2, 4]], build: tanh },
  { op: "Softplus", shapes: [[2, 4]], build: softplus },
  { op: "Softmax", shapes: [[2, 4]], build: softmax },
  { op: "LogSoftmax", shapes: [[2, 4]], build: logSoftmax },
  { op: "MatMul", shapes: [[2, 3], [3, 4]], build: matMul },
  ...[false, true].flatMap((transA) =>
    [false, true].map((transB) => ({
      op: "Gemm",
      shapes: [transA ? [3, 2] : [2, 3], transB ? [4, 3] : [3, 4], [4]],
      build: (graph: Graph, a: Value, b: Value, c?: Value) => gemm(graph, a, b, { ...(c === undefined ? {} : { c }), transA, transB }),
    })),
  ),
  { op: "Reshape", shapes: [[2, 3]], build: (graph, x) => reshape(graph, x, [3, 2]) },
  { op: "Transpose", shapes: [[2, 3]], build: transpose },
  { op: "ReduceSum", shapes: [[2, 3]], build: (graph, x) => reduceSum(graph, x, [1]) },
  { op: "ReduceMean", shapes: [[2, 3]], build: (graph, x) => reduceMean(graph, x, [0], true) },
];

describe("gradient rules", () => {
  for (const { op, shapes, build, positive } of cases) {
    it(`of ${op} on ${JSON.stringify(shapes)} agree with finite differences`, async () => {
      const graph = new Graph();
      const inputs = shapes.map((shape, index) => graph.input(`x${index}`, "FP32", shape));
      const y = build(graph, ...inputs);
      // A weighted sum, so that every element of y has a gradient of its own.
      const size = y.shape.reduce<number>((product, dimension) => product * Number(dimension), 1);
      const weighted = mul(graph, reshape(graph, y, [size]), graph.constant("FP32", [size], values(size, 99)));
      const loss = reduceSum(graph, weighted, [0]);
      const grads = gradients(graph, loss, inputs);
      const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { loss, ...Object.fromEntries(grads.map((grad, index) => [`d${index}`, grad])) } }));
      const point = shapes.map((shape, index) => values(shape.reduce((product, dimension) => product * dimension, 1), index + 1).map((value) => (positive === true ? Math.abs(value) + 0.5 : value)));
      const run = (at: readonly (readonly number[])[]) => session.run(Object.fromEntries(at.map((value, index) => [`x${index}`, new ort.Tensor("float32", Float32Array.from(value), shapes[index] as number[])])));

      const results = await run(point);
      const step = 1e-2;
      for (const [input, elements] of point.entries()) {
        for (const index of elements.keys()) {
          const lossAt = async (delta: number): Promise<number> => (await run(point.map((value, which) => value.map((element, at) => (which === input && at === index ? element + delta : element)))))["loss"]?.data[0] as number;
          const numeric = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
          const analytic = results[`d${input}`]?.data[index] as number;
          // f32 central differences with a step of 1e-2: error ≈ step² · third derivative + rounding/step.
          assert.ok(Math.abs(numeric - analytic) <= 2e-3 + 2e-3 * Math.abs(numeric), `${op} d${input}[${index}]: ${analytic}, numerically ${numeric}`);
        }
      }
    });
  }

  it("have a case each", () => assert.deepEqual([...new Set(cases.map(({ op }) => op))].sort(), Object.keys(RULES).sort()));
});

describe("gradients", () => {
  it("add up where a value is used twice, and are zeros where the loss does not depend on it", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [2]);
    const unused = graph.input("u", "FP32", [3]);
    const loss = reduceSum(graph, mul(graph, x, x), [0]);
    const [dx, du] = gradients(graph, loss, [x, unused]);
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { dx: dx as Value, du: du as Value } }));

    const { dx: gotX, du: gotU } = await session.run({ x: new ort.Tensor("float32", [3, -4], [2]), u: new ort.Tensor("float32", [1, 1, 1], [3]) });

    assert.deepEqual([Array.from(gotX?.data as Float32Array), Array.from(gotU?.data as Float32Array)], [[6, -8], [0, 0, 0]]);
  });

  it("name the operator that has no rule, and refuse a loss that is no scalar", () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [1]);

    assert.throws(() => gradients(graph, graph.node("Floor", [x], { datatype: "FP32", shape: [1] }), [x]), /Floor has no gradient rule/);
    assert.throws(() => gradients(graph, graph.input("v", "FP32", [2]), [x]), GraphError);
  });
});
