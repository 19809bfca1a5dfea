import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { StatusError, type Reason } from "@servable/errors";
import { addSubModel, identityModel, sharedAsset, skipWithout } from "@servable/testing";
import { tensorOf } from "@servable/tensor";
import ort from "onnxruntime-node";
import { FunctionProtoSchema, ModelProtoSchema, NodeProtoSchema, TensorProtoSchema, TensorProto_DataLocation, type ModelProto, type NodeProto } from "./gen/onnx/onnx_pb.js";
import { Graph, GraphError, add, buildModel, checkLimits, matMul, printModel, readModel, signatureOf } from "./index.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;

/** A valid model, changed. */
function changed(change: (model: ModelProto) => void): ModelProto {
  const model = readModel(addSubModel());
  change(model);
  return fromBinary(ModelProtoSchema, toBinary(ModelProtoSchema, model));
}

describe("authored graphs", () => {
  it("run in onnxruntime", async () => {
    const session = await ort.InferenceSession.create(addSubModel());

    const sixteen = (value: number) => new ort.Tensor("int32", new Int32Array(16).fill(value), [1, 16]);
    const { OUTPUT0, OUTPUT1 } = await session.run({ INPUT0: sixteen(5), INPUT1: sixteen(3) });

    assert.deepEqual([OUTPUT0?.data[0], OUTPUT1?.data[15]], [8, 2]);
  });

  it("are the same bytes each time", () => assert.deepEqual(addSubModel("INT8"), addSubModel("INT8")));

  it("leave out what no output needs", () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", [1]);
    add(graph, x, graph.constant("FP32", [1], [7]));

    assert.doesNotMatch(printModel(readModel(buildModel({ graph, outputs: { y: x } }))), /Add|const/);
  });

  it("let no name of their own stand in the way of an input's or an output's", async () => {
    const graph = new Graph();
    const inputs = ["Add_0", "const_1", "w"].map((name) => graph.input(name, "FP32", [1]));
    const weight = graph.weight("w", tensorOf("FP32", [1], [100]));
    const sum = [...inputs, graph.constant("FP32", [1], [1000]), weight].reduce((total, value) => add(graph, total, value));
    const session = await ort.InferenceSession.create(buildModel({ graph, outputs: { y: sum } }));

    const { y } = await session.run(Object.fromEntries(inputs.map(({ name }, index) => [name, new ort.Tensor("float32", [index + 1], [1])])));

    assert.equal(y?.data[0], 1106);
    assert.throws(() => graph.input("w", "FP32", [1]), GraphError);
    assert.throws(() => buildModel({ graph, outputs: { w: sum } }), GraphError);
  });

  it("refuse operands that do not fit at the line that joins them", () => {
    const graph = new Graph();

    assert.throws(() => matMul(graph, graph.input("a", "FP32", ["n", 3]), graph.input("b", "FP32", [4, 2])), GraphError);
    assert.throws(() => add(graph, graph.input("c", "FP32", [3]), graph.input("d", "INT32", [3])), GraphError);
  });
});

describe("signature", () => {
  it("names datatypes, variable dimensions and their names", () => {
    assert.deepEqual(signatureOf(readModel(identityModel())), {
      inputs: [{ name: "INPUT0", datatype: "BYTES", shape: [-1, -1], dimensionNames: ["batch", "length"] }],
      outputs: [{ name: "OUTPUT0", datatype: "BYTES", shape: [-1, -1], dimensionNames: ["batch", "length"] }],
    });
  });

  it("takes initialisers that are listed as inputs for what they are", { skip: skipWithout("assets/onnx-small/mnist-cnn.onnx") }, () => {
    const { inputs } = signatureOf(readModel(readFileSync(sharedAsset("assets/onnx-small/mnist-cnn.onnx") ?? "")));

    assert.deepEqual(inputs.map(({ name, shape }) => ({ name, shape })), [{ name: "Input3", shape: [1, 1, 28, 28] }]);
  });
});

describe("hostile files", () => {
  for (const [what, bytes] of [["text", Buffer.from("hello, I am no model")], ["nothing", new Uint8Array()], ["half a model", addSubModel().subarray(0, 60)]] as const) {
    it(`refuse ${what} as no ONNX`, () => assert.throws(() => readModel(bytes), reason("MODEL_NOT_ONNX")));
  }

  const node = (opType: string, rest: object = {}) => create(NodeProtoSchema, { opType, input: ["INPUT0"], output: ["x"], ...rest });
  const cases: { readonly what: string; readonly change: (model: ModelProto) => unknown }[] = [
    { what: "a tensor in another file", change: (model: ModelProto) => model.graph?.initializer.push({ ...create(ModelProtoSchema, { graph: { initializer: [{ name: "w", dims: [1n], dataType: 1, dataLocation: TensorProto_DataLocation.EXTERNAL, externalData: [{ key: "location", value: "../../etc/passwd" }] }] } }).graph!.initializer[0]! }) },
    { what: "an unknown domain", change: (model: ModelProto) => model.graph?.node.push(node("Evil", { domain: "evil" })) },
    { what: "a loop without a bound", change: (model: ModelProto) => model.graph?.node.push(node("Loop", { input: ["", "INPUT0"] })) },
    { what: "too many nodes", change: (model: ModelProto) => model.graph?.node.push(...Array.from({ length: 50_001 }, () => node("Identity"))) },
  ];
  /** The model calls the last of its functions; each is given by its nodes. */
  const calling = (domain: string, bodies: readonly (readonly NodeProto[])[]) => (model: ModelProto) => {
    model.functions.push(...bodies.map((body, index) => create(FunctionProtoSchema, { name: `F${index}`, domain, input: ["INPUT0"], output: ["x"], node: [...body] })));
    model.graph?.node.push(node(`F${bodies.length - 1}`, { domain }));
  };
  const doubling = (levels: number) => Array.from({ length: levels }, (_, level) => (level === 0 ? [node("Identity")] : [node(`F${level - 1}`, { domain: "own" }), node(`F${level - 1}`, { domain: "own" })]));
  cases.push(
    // Whatever domain a function claims, its body runs.
    ...["own", "com.microsoft", ""].map((domain) => ({ what: `a loop without a bound in a function of the domain "${domain}"`, change: calling(domain, [[node("Loop", { input: ["", "INPUT0"] })]]) })),
    { what: "functions that double at each level", change: calling("own", doubling(20)) },
    { what: "a function that calls itself", change: calling("own", [[node("F0", { domain: "own" })]]) },
    { what: "functions that call each other too deep", change: calling("own", Array.from({ length: 100 }, (_, level) => [node(level === 0 ? "Identity" : `F${level - 1}`, { domain: level === 0 ? "" : "own" })])) },
  );
  for (const { what, change } of cases) it(`refuse ${what}`, () => assert.throws(() => checkLimits(changed((model) => void change(model))), reason("MODEL_REFUSED")));

  it("do not include functions of a few levels, nor a bounded loop in one", () => {
    const ten = create(TensorProtoSchema, { dataType: 7, int64Data: [10n] });
    const trips = node("Constant", { input: [], output: ["trips"], attribute: [{ name: "value", t: ten }] });

    checkLimits(changed(calling("own", doubling(8))));
    checkLimits(changed(calling("own", [[trips, node("Loop", { input: ["trips", ""] })]])));
  });

  it("refuse a constant bomb", () => {
    const graph = new Graph();
    const huge = graph.node("ConstantOfShape", [graph.constant("INT64", [2], [100_000n, 100_000n])], { datatype: "FP32", shape: [100_000, 100_000] });

    assert.throws(() => checkLimits(readModel(buildModel({ graph, outputs: { y: huge } }))), reason("MODEL_REFUSED"));
  });

  for (const asset of ["imagenet-mobilenetv2/mobilenet_v2_1.0_224_fp32.onnx", "bert-mini-intents/model.onnx", "resnet-cifar10/resnet20.onnx", "speech-vad/silero_vad.onnx", "ocr/ch_PP-OCRv4_rec_infer.onnx"]) {
    it(`do not include ${asset}`, { skip: skipWithout(`assets/${asset}`) }, () => {
      const model = readModel(readFileSync(sharedAsset(`assets/${asset}`) ?? ""));
      checkLimits(model);
      assert.ok(signatureOf(model).outputs.length > 0);
    });
  }
});
