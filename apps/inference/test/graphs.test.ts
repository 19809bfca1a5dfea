import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { seededRandom } from "@servable/scheduling";
import { checkGraph } from "../src/domain/executors/graph/check-graph.ts";
import { GraphExecutor } from "../src/domain/executors/graph/graph-executor.ts";
import type { GraphSteps } from "../src/domain/executors/graph/graph-steps.ts";
import { parseGraph } from "../src/domain/executors/graph/parse-graph.ts";
import type { InferRequest } from "../src/domain/executors/executor.ts";
import { contextOf, fakeStepModel, modelsOf, namedTensor, requestOf, valuesOf, type FakeModel, type Type } from "./support/fake-step-model.ts";

const VECTOR: Type = ["INT32", [-1]];
const numbers = (values: readonly unknown[] | undefined): number[] => values as number[];
const unary = (name: string, map: (value: number) => number): FakeModel => ({ name, inputs: { x: VECTOR }, outputs: { x: VECTOR }, answer: ({ x }) => ({ x: numbers(x).map(map) }) });
const MODELS = [
  unary("plus_one", (value) => value + 1),
  unary("double", (value) => 2 * value),
  unary("negate", (value) => -value),
  { name: "sum", inputs: { a: VECTOR, b: VECTOR }, outputs: { s: VECTOR }, answer: ({ a, b }: Record<string, readonly unknown[]>) => ({ s: numbers(a).map((value, index) => value + (numbers(b)[index] ?? 0)) }) },
  { name: "texts", inputs: { x: VECTOR }, outputs: { x: ["BYTES", [-1]] as Type }, answer: ({ x }: Record<string, readonly unknown[]>) => ({ x: numbers(x).map(String) }) },
] satisfies FakeModel[];

const NO_STEPS: GraphSteps = { typeOf: async () => assert.fail("no step"), run: async () => assert.fail("no step") };

function graphOf(graph: object | string, outputs: readonly string[] = ["x"]): GraphExecutor {
  const root = parseGraph(typeof graph === "string" ? graph : JSON.stringify(graph));
  const { byName } = modelsOf(MODELS.map(fakeStepModel));
  const writes = checkGraph(root, [{ name: "x", datatype: "INT32", shape: [-1] }], outputs.map((name) => ({ name, datatype: "INT32" as const, shape: [-1] })), byName);
  return new GraphExecutor({ name: "g", root, writes, outputs, modelOf: byName, steps: NO_STEPS, random: seededRandom(1) });
}
const ask = async (graph: GraphExecutor, values: readonly number[] = [1, 2], more: Partial<InferRequest> = {}) => valuesOf(await graph.infer(requestOf([namedTensor("x", "INT32", values)], more), contextOf()));

describe("a graph", () => {
  it("runs a sequence, each node on what those before it wrote", async () => {
    assert.deepEqual(await ask(graphOf({ root: { sequence: [{ model: "plus_one" }, { model: "double" }] } })), { x: [4, 6] });
  });

  it("runs an ensemble side by side on the same tensors and puts together what it writes", async () => {
    const graph = graphOf({ root: { sequence: [{ ensemble: [{ model: "double", outputs: { x: "d" } }, { model: "negate", outputs: { x: "n" } }] }, { model: "sum", inputs: { a: "d", b: "n" }, outputs: { s: "x" } }] } });

    assert.deepEqual(await ask(graph, [5]), { x: [5] });
  });

  it("switches by the values of a tensor", async () => {
    const graph = graphOf({ root: { switch: { cases: [{ when: { tensor: "x", ">": 10 }, then: { model: "negate" } }, { when: { tensor: "x", match: "any", "==": 7 }, then: { model: "double" } }], otherwise: { model: "plus_one" } } } });

    assert.deepEqual([await ask(graph, [11, 12]), await ask(graph, [11, 7]), await ask(graph, [11, 3])], [{ x: [-11, -12] }, { x: [22, 14] }, { x: [12, 4] }]);
  });

  it("switches by a text that a model wrote", async () => {
    const graph = graphOf({ root: { sequence: [{ model: "texts", outputs: { x: "label" } }, { switch: { cases: [{ when: { tensor: "label", in: ["3", "4"] }, then: { model: "negate" } }], otherwise: { model: "double" } } }] } });

    assert.deepEqual([await ask(graph, [3, 4]), await ask(graph, [3, 5])], [{ x: [-3, -4] }, { x: [6, 10] }]);
  });

  it("switches by parameters, and combines conditions", async () => {
    const graph = graphOf({ root: { switch: { cases: [{ when: { all: [{ parameter: "tier", "==": "gold" }, { not: { any: [{ parameter: "n", ">=": 5 }, { tensor: "x", "<": 0 }] } }] }, then: { model: "double" } }], otherwise: { model: "negate" } } } });
    const asked = [new Map<string, string | bigint>([["tier", "gold"]]), new Map<string, string | bigint>([["tier", "gold"], ["n", 5n]]), new Map<string, string | bigint>()];

    assert.deepEqual(await Promise.all(asked.map((parameters) => ask(graph, [1], { parameters }))), [{ x: [2] }, { x: [-1] }, { x: [-1] }]);
  });

  it("refuses a request that fits no case", async () => {
    const graph = graphOf({ root: { switch: { cases: [{ when: { tensor: "x", ">": 10 }, then: { model: "negate" } }] } } });

    await assert.rejects(ask(graph, [1]), (error: unknown) => error instanceof StatusError && error.reason === "GRAPH_CASE_MISSING" && /graph 'g': the request fits no case of root/.test(error.message));
  });

  it("splits requests by weight", async () => {
    const graph = graphOf({ root: { splitter: { branches: [{ weight: 75, then: { model: "double" } }, { weight: 25, then: { model: "negate" } }] } } });
    let doubled = 0;
    for (let call = 0; call < 2_000; call++) if ((await ask(graph, [1]))["x"]?.[0] === 2) doubled++;

    // Binomial with n = 2,000, p = 0.75: the standard deviation is 19.4.
    assert.ok(Math.abs(doubled - 1_500) < 100, `${doubled} of 2,000`);
  });

  it("keeps a key on its branch, near the weights over many keys", async () => {
    const graph = graphOf({ root: { splitter: { by: { parameter: "user" }, seed: 4, branches: [{ weight: 9, then: { model: "double" } }, { weight: 1, then: { model: "negate" } }] } } });
    const branchOf = async (user: string): Promise<unknown> => (await ask(graph, [1], { parameters: new Map([["user", user]]) }))["x"]?.[0];
    const first = await Promise.all(Array.from({ length: 500 }, (_, user) => branchOf(`u${user}`)));
    const again = await Promise.all(Array.from({ length: 500 }, (_, user) => branchOf(`u${user}`)));

    assert.deepEqual(again, first);
    const doubled = first.filter((value) => value === 2).length;
    assert.ok(Math.abs(doubled - 450) < 35, `${doubled} of 500`);
  });

  it("keeps a sequence on its branch without being told", async () => {
    const graph = graphOf({ root: { splitter: { branches: [{ weight: 1, then: { model: "double" } }, { weight: 1, then: { model: "negate" } }] } } });
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(graph, [1], { sequence: { id: "42", numericId: 42n, start: false, end: false } })));

    assert.equal(new Set(answers.map(({ x }) => x?.[0])).size, 1);
  });

  it("is written in YAML as well, with nodes by name", async () => {
    const graph = graphOf(`
root:
  sequence:
    - node: twice
    - node: twice
nodes:
  twice: {model: double}
`);

    assert.deepEqual(await ask(graph, [1]), { x: [4] });
  });
});

describe("a graph is refused", () => {
  const cases: readonly { what: string; graph: object | string; outputs?: readonly string[]; message: RegExp }[] = [
    { what: "that is no JSON or YAML", graph: "{", message: /^servable\.graph is neither JSON nor YAML/ },
    { what: "without a root", graph: {}, message: /^servable\.graph has no root/ },
    { what: "with an unknown key", graph: { root: { model: "double", input: {} } }, message: /^servable\.graph\.root has the unknown key "input": it takes model, version, inputs, outputs/ },
    { what: "with a node of two kinds", graph: { root: { model: "double", sequence: [] } }, message: /root must have exactly one of model, sequence/ },
    { what: "with an empty sequence", graph: { root: { sequence: [] } }, message: /root\.sequence must be a list with at least one entry/ },
    { what: "that refers to no node", graph: { root: { node: "a" } }, message: /root\.node there is no node "a"/ },
    { what: "that goes round in a circle", graph: { root: { node: "a" }, nodes: { a: { sequence: [{ node: "b" }] }, b: { node: "a" } } }, message: /goes round in a circle: a → b → a/ },
    { what: "with a node that nobody uses", graph: { root: { model: "double" }, nodes: { a: { model: "double" } } }, message: /nodes\.a is used by no node/ },
    { what: "with YAML aliases", graph: "root: {sequence: [&a {model: double}, *a]}", message: /neither JSON nor YAML/ },
    { what: "whose node reads what is not there", graph: { root: { model: "sum", inputs: { a: "x", b: "y" }, outputs: { s: "x" } } }, message: /root "sum" reads "b" from the tensor "y", which is not there: there are "x"/ },
    { what: "whose tensors have the wrong datatype", graph: { root: { sequence: [{ model: "texts" }, { model: "double" }] } }, message: /root\.sequence\[1\] "x" of "double" is INT32 \[-1\], the tensor "x" is BYTES \[-1\]/ },
    { what: "whose ensemble writes a name twice", graph: { root: { ensemble: [{ model: "double" }, { model: "negate" }] } }, message: /root\.ensemble\[1\] writes "x", which another node beside it writes too/ },
    { what: "whose branches write different types", graph: { root: { switch: { cases: [{ when: { tensor: "x", ">": 1 }, then: { model: "texts" } }], otherwise: { model: "double" } } } }, message: /writes "x" as BYTES \[-1\] in one branch and as INT32 \[-1\] in another/ },
    { what: "whose output only one branch writes", graph: { root: { switch: { cases: [{ when: { tensor: "x", ">": 1 }, then: { model: "double", outputs: { x: "y" } } }], otherwise: { model: "double" } } } }, outputs: ["y"], message: /does not write the output "y" on every way/ },
    { what: "whose condition compares a number with a text", graph: { root: { switch: { cases: [{ when: { tensor: "x", "==": "1" }, then: { model: "double" } }] } } }, message: /when compares "x", which is INT32, with "1"/ },
    { what: "whose condition orders texts", graph: { root: { switch: { cases: [{ when: { parameter: "p", ">": "a" }, then: { model: "double" } }] } } }, message: /must be a number/ },
    { what: "whose weights are all zero", graph: { root: { splitter: { branches: [{ weight: 0, then: { model: "double" } }] } } }, message: /branches have no weight above 0/ },
    { what: "whose model is unknown", graph: { root: { model: "nobody" } }, message: /'nobody' is not found/ },
  ];
  for (const { what, graph, outputs, message } of cases) {
    it(what, () => {
      assert.throws(() => graphOf(graph, outputs), (error: unknown) => error instanceof StatusError && message.test(error.message) || assert.fail(String(error)));
    });
  }
});
