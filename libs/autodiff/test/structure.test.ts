import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, it } from "node:test";
import { Graph, add, gather, matMul, reduceSum, relu, type GraphNode, type Value } from "@servable/onnx";
import { tensorOf } from "@servable/tensor";
import { RULES, gradients } from "../src/index.ts";
import { caseNodes } from "./rule-cases/case-graphs.ts";
import { ELEMENTWISE_CASES } from "./rule-cases/elementwise.ts";
import { goldenCases } from "./rule-cases/golden-cases.ts";
import { PRODUCT_CASES } from "./rule-cases/products.ts";
import { SHAPE_CASES } from "./rule-cases/shape.ts";

/** Operators of onnxruntime's own that gradients are written with. */
const CONTRIB = new Set(["FusedMatMul", "RotaryEmbedding"]);

describe("graphs of gradients", () => {
  const nodes: GraphNode[] = [];
  before(() => {
    for (const rule of [...ELEMENTWISE_CASES, ...PRODUCT_CASES, ...SHAPE_CASES, ...goldenCases()]) for (const open of rule.fixedSizes === true ? [false] : [false, true]) nodes.push(...caseNodes(rule, open));
  });

  it("never add up by ScatterND, which loses updates on several threads", () => {
    assert.deepEqual(nodes.filter(({ opType, attributes }) => opType === "ScatterND" && (attributes["reduction"] ?? "none") !== "none"), []);
    assert.ok(nodes.some(({ opType, attributes }) => opType === "ScatterElements" && attributes["reduction"] === "add"), "sums there are");
  });

  it("have no random operators, whose state a resumed session cannot continue", () => {
    assert.deepEqual(nodes.filter(({ opType }) => /^(Random|Bernoulli|Multinomial|Dropout)/.test(opType)), []);
  });

  it("use two operators of onnxruntime's own and no domain besides", () => {
    assert.deepEqual(nodes.filter(({ domain, opType }) => domain !== "" && !(domain === "com.microsoft" && CONTRIB.has(opType))), []);
  });

  it("can do without FusedMatMul", () => {
    const graph = new Graph();
    const [a, b] = [graph.input("a", "FP32", [2, 3, 4]), graph.input("b", "FP32", [2, 4, 5])];
    const y = graph.node("MatMul", [a, b], { datatype: "FP32", shape: [2, 3, 5] });
    gradients(graph, reduceSum(graph, y, [0, 1, 2]), [a, b], { contrib: false });
    assert.deepEqual(graph.nodes.filter(({ domain }) => domain !== ""), []);
  });

  it("grow with the layers and not with what they share: constants are stored once", () => {
    const sizes = [10, 20, 40].map((layers) => {
      const graph = new Graph();
      const x = graph.input("x", "FP32", [4, 8]);
      const weights = Array.from({ length: layers }, (_, index) => graph.weight(`w${index}`, tensorOf("FP32", [8, 8], new Array<number>(64).fill(index / 64))));
      const y = weights.reduce((h: Value, w) => relu(graph, matMul(graph, h, w)), x);
      gradients(graph, reduceSum(graph, y, [0, 1]), weights);
      return { nodes: graph.nodes.length, constants: graph.initializers.size - layers };
    });
    assert.equal((sizes[2]?.nodes ?? 0) - (sizes[1]?.nodes ?? 0), 2 * ((sizes[1]?.nodes ?? 0) - (sizes[0]?.nodes ?? 0)));
    assert.deepEqual(sizes.map(({ constants }) => constants), [sizes[0]?.constants, sizes[0]?.constants, sizes[0]?.constants]);
  });

  it("have nodes only between the loss and what is asked for", () => {
    const graph = new Graph();
    const [x, w, v] = [graph.input("x", "FP32", [2, 3]), graph.input("w", "FP32", [3, 3]), graph.input("v", "FP32", [3, 1])];
    const hidden = relu(graph, matMul(graph, x, w));
    const loss = reduceSum(graph, matMul(graph, hidden, v), [0, 1]);
    const forward = graph.nodes.length;
    const [dv] = gradients(graph, loss, [v]);
    assert.deepEqual(graph.nodes.slice(forward).map(({ opType }) => opType), ["Expand", "Gemm"]);
    const [dHidden] = gradients(graph, loss, [hidden]);
    assert.deepEqual([dv?.shape, dHidden?.shape], [[3, 1], [2, 3]]);
  });

  it("reach a value through every node that uses it", () => {
    const graph = new Graph();
    const table = graph.input("t", "FP32", [4, 2]);
    const row = gather(graph, table, graph.constant("INT64", [1], [1n]));
    const loss = reduceSum(graph, add(graph, row, matMul(graph, graph.input("p", "FP32", [1, 4]), table)), [0, 1]);
    const before = graph.nodes.length;
    gradients(graph, loss, [table]);
    assert.equal(graph.nodes.slice(before).filter(({ opType }) => opType === "Add").length, 1);
  });

  it("are asked for by a scalar loss and real values, and the error says which is not", () => {
    const graph = new Graph();
    const [x, ids] = [graph.input("x", "FP32", [2]), graph.input("ids", "INT64", [2])];
    const loss = reduceSum(graph, x, [0]);
    assert.throws(() => gradients(graph, x, [x]), /the loss "x" has shape \[2\], one element is needed: reduce it by a sum or a mean/);
    assert.throws(() => gradients(graph, reduceSum(graph, ids, [0]), [x]), /is INT64, real numbers are needed/);
    assert.throws(() => gradients(graph, loss, [ids]), /"ids" is INT64: only real numbers have a gradient/);
  });

  it("are refused with the operator, its node and what to do instead", () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [1, 2]);
    const nodeOf = (opType: string, domain = ""): Value => graph.node(opType, [x], { datatype: "FP32", shape: [1, 2], name: `the_${opType}` }, {}, domain);
    const refusal = (opType: string, domain = ""): RegExp[] => [new RegExp(`${opType} has no gradient rule \\("the_${opType}"\\)`), domain === "" ? /unroll|write|fold/ : /operators have one, see libs\/autodiff\/README.md/];
    for (const [opType, domain] of [["LSTM"], ["Loop"], ["If"], ["Scan"], ["MultiHeadAttention", "com.microsoft"]] as const) {
      for (const message of refusal(opType, domain)) assert.throws(() => gradients(graph, reduceSum(graph, nodeOf(opType, domain), [0, 1]), [x]), message);
    }
  });
});

describe("the README", () => {
  it("lists every operator that has a rule", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    const listed = [...readme.matchAll(/^\| [a-z, ]+ \| ([A-Za-z0-9:. ]+) \|$/gm)].flatMap(([, operators = ""]) => operators.split(" "));
    assert.deepEqual(listed.sort(), Object.keys(RULES).sort());
  });
});

