import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import ort from "onnxruntime-node";
import { AttributeProtoSchema, AttributeProto_AttributeType as AttributeType, FunctionProtoSchema, GraphProtoSchema, ModelProtoSchema, NodeProtoSchema, SparseTensorProtoSchema, TensorProtoSchema, ValueInfoProtoSchema, type AttributeProto, type GraphProto, type ModelProto, type NodeProto, type TensorProto } from "../gen/onnx/onnx_pb.js";
import { GraphError, buildModel, importGraph } from "../index.ts";

const int = (name: string, value: number): AttributeProto => create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
const body = (name: string, g: GraphProto): AttributeProto => create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g });
const node = (opType: string, input: string[], output: string[], attribute: AttributeProto[] = [], domain = ""): NodeProto => create(NodeProtoSchema, { opType, input, output, attribute, domain });
const floats = (name: string, dims: number[], floatData: number[]): TensorProto => create(TensorProtoSchema, { name, dataType: 1, dims: dims.map(BigInt), floatData });
const whole = (name: string, int64Data: bigint[], dims: number[] = []): TensorProto => create(TensorProtoSchema, { name, dataType: 7, dims: dims.map(BigInt), int64Data });
const bool = (name: string, value: boolean): TensorProto => create(TensorProtoSchema, { name, dataType: 9, int32Data: [value ? 1 : 0] });
const typed = (name: string, elemType: number, shape: number[]) => create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value: { elemType, shape: { dim: shape.map((size) => ({ value: { case: "dimValue" as const, value: BigInt(size) } })) } } } } });

interface Parts {
  readonly inputs?: readonly ReturnType<typeof typed>[];
  readonly initializer?: TensorProto[];
  readonly outputs?: readonly ReturnType<typeof typed>[];
}
const graphOf = (nodes: NodeProto[], { inputs = [], initializer = [], outputs = [] }: Parts): GraphProto => create(GraphProtoSchema, { name: "g", node: nodes, input: [...inputs], initializer, output: [...outputs] });
const modelOf = (graph: GraphProto, more: Partial<ModelProto> = {}): ModelProto => fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport: [{ domain: "", version: 21n }, { domain: "own", version: 1n }], graph, ...(more as object) })));

const x = typed("x", 1, [3]);
const y = typed("y", 1, [3]);

/** Outputs of the file and of the graph that it is imported into. */
async function both(model: ModelProto, feeds: Record<string, ort.Tensor>): Promise<[number[][], number[][]]> {
  const { graph, outputs } = importGraph(model);
  const results = [toBinary(ModelProtoSchema, model), buildModel({ graph, outputs: Object.fromEntries(outputs) })].map(async (bytes) => {
    const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
    const answer = await session.run(feeds);
    return session.outputNames.map((name) => Array.from(answer[name]?.data as Float32Array));
  });
  return [await (results[0] as Promise<number[][]>), await (results[1] as Promise<number[][]>)];
}
const three = { x: new ort.Tensor("float32", [1, -2, 3], [3]) };
const opTypes = (model: ModelProto): string[] => importGraph(model).graph.nodes.map(({ opType }) => opType);

describe("graphs inside graphs", () => {
  const branches = [body("then_branch", graphOf([node("Neg", ["x"], ["t"])], { outputs: [typed("t", 1, [3])] })), body("else_branch", graphOf([node("Exp", ["x"], ["e"])], { outputs: [typed("e", 1, [3])] }))];

  it("an If by a constant becomes the branch that is taken", async () => {
    const model = modelOf(graphOf([node("If", ["c"], ["y"], branches)], { inputs: [x], outputs: [y], initializer: [bool("c", false)] }));

    const [want, got] = await both(model, three);

    assert.deepEqual(got, want);
    assert.deepEqual(opTypes(model), ["Exp"]);
  });

  it("an If by a value runs both branches and lets the condition choose", async () => {
    const model = modelOf(graphOf([node("If", ["c"], ["y"], branches)], { inputs: [x, typed("c", 9, [])], outputs: [y] }));

    for (const condition of [true, false]) {
      const [want, got] = await both(model, { ...three, c: new ort.Tensor("bool", [condition], []) });
      assert.deepEqual(got, want);
    }
  });

  const loopBody = (condition: NodeProto): GraphProto => graphOf([condition, node("Add", ["h", "x"], ["h2"]), node("Cast", ["i"], ["f"], [int("to", 1)]), node("Mul", ["h2", "f"], ["s"])], { inputs: [typed("i", 7, []), typed("going", 9, []), typed("h", 1, [3])], outputs: [typed("going2", 9, []), typed("h2", 1, [3]), typed("s", 1, [3])] });

  it("a Loop of constant rounds is written out, with what it carries and collects", async () => {
    const model = modelOf(graphOf([node("Loop", ["n", "yes", "x"], ["y", "all"], [body("body", loopBody(node("Identity", ["going"], ["going2"])))])], { inputs: [x], outputs: [y, typed("all", 1, [4, 3])], initializer: [whole("n", [4n]), bool("yes", true)] }));

    const [want, got] = await both(model, three);

    assert.deepEqual(got, want);
  });

  it("a Loop that may end early is refused by its name", () => {
    const early = node("IsNaN", ["h"], ["going2"]);
    const model = modelOf(graphOf([node("Loop", ["n", "yes", "x"], ["y", "all"], [body("body", loopBody(early))])], { inputs: [x], outputs: [y], initializer: [whole("n", [4n]), bool("yes", true)] }));

    assert.throws(() => importGraph(model), (error) => error instanceof GraphError && /"y" \(Loop\).*end early/.test(error.message));
  });

  it("a Scan is written out, also backwards and along another axis", async () => {
    const step = graphOf([node("Add", ["h", "r"], ["h2"]), node("Identity", ["h2"], ["s"])], { inputs: [typed("h", 1, [2]), typed("r", 1, [2])], outputs: [typed("h2", 1, [2]), typed("s", 1, [2])] });
    const attributes = [int("num_scan_inputs", 1), create(AttributeProtoSchema, { name: "scan_input_axes", type: AttributeType.INTS, ints: [1n] }), create(AttributeProtoSchema, { name: "scan_input_directions", type: AttributeType.INTS, ints: [1n] }), create(AttributeProtoSchema, { name: "scan_output_axes", type: AttributeType.INTS, ints: [-1n] }), body("body", step)];
    const model = modelOf(graphOf([node("Scan", ["h0", "xs"], ["h", "all"], attributes)], { inputs: [typed("xs", 1, [2, 3])], outputs: [typed("h", 1, [2]), typed("all", 1, [2, 3])], initializer: [floats("h0", [2], [10, 20])] }));

    const [want, got] = await both(model, { xs: new ort.Tensor("float32", [1, 2, 3, 4, 5, 6], [2, 3]) });

    assert.deepEqual(got, want);
  });
});

describe("functions of a model", () => {
  it("are inlined, with attributes that the call gives, and others in them", async () => {
    const leaky = create(FunctionProtoSchema, { name: "Leaky", domain: "own", input: ["a"], output: ["b"], attribute: ["slope"], opsetImport: [{ domain: "", version: 21n }], node: [node("LeakyRelu", ["a"], ["b"], [create(AttributeProtoSchema, { name: "alpha", type: AttributeType.FLOAT, refAttrName: "slope" })])] });
    const twice = create(FunctionProtoSchema, { name: "Twice", domain: "own", input: ["a"], output: ["c"], opsetImport: [{ domain: "", version: 21n }, { domain: "own", version: 1n }], node: [node("Leaky", ["a"], ["b"], [create(AttributeProtoSchema, { name: "slope", type: AttributeType.FLOAT, f: 0.5 })], "own"), node("Neg", ["b"], ["n"]), node("Leaky", ["n"], ["c"], [create(AttributeProtoSchema, { name: "slope", type: AttributeType.FLOAT, f: 0.25 })], "own")] });
    const model = modelOf(graphOf([node("Twice", ["x"], ["z"], [], "own"), node("Twice", ["z"], ["y"], [], "own")], { inputs: [x], outputs: [y] }), { functions: [leaky, twice] });

    const [want, got] = await both(model, three);

    assert.deepEqual(got, want);
    assert.deepEqual(opTypes(model), ["LeakyRelu", "Neg", "LeakyRelu", "LeakyRelu", "Neg", "LeakyRelu"]);
  });

  it("that call themselves are refused", () => {
    const endless = create(FunctionProtoSchema, { name: "F", domain: "own", input: ["a"], output: ["b"], node: [node("F", ["a"], ["b"], [], "own")] });

    assert.throws(() => importGraph(modelOf(graphOf([node("F", ["x"], ["y"], [], "own")], { inputs: [x], outputs: [y] }), { functions: [endless] })), (error) => error instanceof GraphError && /nest deeper/.test(error.message));
  });
});

describe("sparse weights", () => {
  for (const [form, indices] of [["linear", whole("", [1n, 5n], [2])], ["coordinate", whole("", [0n, 1n, 1n, 2n], [2, 2])]] as const) {
    it(`with ${form} indices get their zeros`, () => {
      const graph = graphOf([node("Add", ["x", "w"], ["y"])], { inputs: [typed("x", 1, [2, 3])], outputs: [typed("y", 1, [2, 3])] });
      graph.sparseInitializer.push(create(SparseTensorProtoSchema, { values: floats("w", [2], [7, 9]), indices, dims: [2n, 3n] }));

      const weight = importGraph(modelOf(graph)).graph.initializers.get("w")?.tensor;

      assert.deepEqual(Array.from(new Float32Array(Uint8Array.from(weight?.data ?? []).buffer)), [0, 7, 0, 0, 0, 9]);
      assert.deepEqual(weight?.shape, [2, 3]);
    });
  }
});
