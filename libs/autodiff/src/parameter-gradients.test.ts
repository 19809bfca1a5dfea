import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Graph, buildModel, gather, matMul, mul, reduceSum, transpose, type Value } from "@servable/onnx";
import ort from "onnxruntime-node";
import { gradients, parameterGradients, type RowGradient } from "./index.ts";

const ROWS = 40;
const values = (count: number, shift = 0): Float32Array => Float32Array.from({ length: count }, (_, index) => Math.sin(index * 0.7 + shift));
const whole = (...indices: number[]): ort.Tensor => new ort.Tensor("int64", BigInt64Array.from(indices, BigInt), [indices.length]);

/** What the rows add up to, as a trainer does it. */
function addedUp(indices: Int32Array, rows: Float32Array, width: number): number[] {
  const table = new Float32Array(ROWS * width);
  indices.forEach((row, at) => rows.subarray(at * width, (at + 1) * width).forEach((value, column) => (table[row * width + column] = (table[row * width + column] ?? 0) + value)));
  return [...table];
}

describe("parameter gradients", () => {
  for (const datatype of ["INT64", "INT32"] as const) {
    it(`give a table's gradient as rows that add up to the dense one, for ${datatype} indices that repeat and count from the end`, async () => {
      const graph = new Graph();
      const table = graph.input("table", "FP32", [ROWS, 3]);
      const ids = graph.input("ids", datatype, [2, 3]);
      const more = graph.input("more", "INT64", ["n"]);
      const picked = graph.node("Gather", [table, ids], { datatype: "FP32", shape: [2, 3, 3] }, { axis: -2 });
      const again = gather(graph, table, more);
      const sum = (x: Value): Value => reduceSum(graph, mul(graph, mul(graph, x, x), x), x.shape.map((_, axis) => axis));
      const loss = graph.node("Add", [sum(picked), sum(again)], { datatype: "FP32", shape: [] });
      const [dense] = gradients(graph, loss, [table]);
      const [rows] = parameterGradients(graph, loss, [table]) as [RowGradient];
      const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { dense: dense as Value, indices: rows.indices, rows: rows.rows } }));

      const id = datatype === "INT32" ? new ort.Tensor("int32", [1, 5, 5, -1, 0, 39], [2, 3]) : new ort.Tensor("int64", BigInt64Array.from([1, 5, 5, -1, 0, 39], BigInt), [2, 3]);
      const results = await session.run({ table: new ort.Tensor("float32", values(ROWS * 3), [ROWS, 3]), ids: id, more: whole(5, -40, 7) });

      const indices = results["indices"]?.data as Int32Array;
      assert.deepEqual([...indices].sort((a, b) => a - b), [0, 0, 1, 5, 5, 5, 7, 39, 39]);
      assert.deepEqual(addedUp(indices, results["rows"]?.data as Float32Array, 3).map((value) => value.toFixed(5)), [...(results["dense"]?.data as Float32Array)].map((value) => value.toFixed(5)));
    });
  }

  it("are dense for a table that is tied to another use, for a small one, and for one that the loss ignores", () => {
    const graph = new Graph();
    const [tied, small, ignored, only] = [[ROWS, 4], [8, 4], [ROWS, 4], [ROWS, 4]].map((shape, index) => graph.input(`t${index}`, "FP32", shape)) as [Value, Value, Value, Value];
    const ids = graph.input("ids", "INT64", [5]);
    const hidden = [tied, small, only].map((table) => gather(graph, table, ids)).reduce((sum, each) => graph.node("Add", [sum, each], { datatype: "FP32", shape: [5, 4] }));
    const loss = reduceSum(graph, matMul(graph, hidden, transpose(graph, tied)), [0, 1]);
    // Another use that the loss does not see leaves a table what it is.
    reduceSum(graph, only, [0, 1]);

    const found = parameterGradients(graph, loss, [tied, small, ignored, only]);

    assert.deepEqual(found.map(({ kind }) => kind), ["dense", "dense", "dense", "rows"]);
    assert.deepEqual(found.map((each) => (each.kind === "dense" ? each.value : each.rows).shape.join()), ["40,4", "8,4", "40,4", "5,4"]);
  });
});
