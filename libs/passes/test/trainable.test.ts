import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { StatusError } from "@servable/errors";
import { Scope, type Mode, type Network } from "@servable/nn";
import { Graph, GraphError, ModelProtoSchema, buildModel, mul, readModel, reduceMean, type ModelProto, type Value } from "@servable/onnx";
import { seededRandom, sharedAsset, skipWithout } from "@servable/testing";
import { tensorOf } from "@servable/tensor";
import ort from "onnxruntime-node";
import { checkTrainable, headInput, networkOfModel, trainable, weightsOfModel } from "../src/index.ts";

const fixture = (name: string): ModelProto => readModel(readFileSync(new URL(`fixtures/${name}.onnx`, import.meta.url)));
const loss = (nn: Scope, outputs: Readonly<Record<string, Value>>): Value => reduceMean(nn.graph, Object.values(outputs)[0] as Value);

function built(network: Network, mode: Mode, dimensions: Readonly<Record<string, number>> = { batch: 4 }): { nn: Scope; outputs: Readonly<Record<string, Value>>; opTypes: string[] } {
  const nn = new Scope({ mode, dimensions, ...(mode === "infer" ? { weights: () => undefined } : {}) });
  const { outputs } = network(nn);
  return { nn, outputs, opTypes: nn.graph.nodes.map(({ opType }) => opType) };
}
const names = (nn: Scope): string[] => nn.parameters.map(({ name }) => name).sort();
const attribute = (nn: Scope): unknown[] => nn.graph.nodes.filter(({ opType }) => opType === "BatchNormalization").map(({ attributes }) => attributes["training_mode"] ?? 0);

describe("a network of an imported model", () => {
  it("trains what patterns choose, batch normalisations only where their scale is trained", () => {
    const cnn = fixture("cnn-legacy");
    const all = built(networkOfModel(cnn, { loss }), "train").nn;
    const head = built(networkOfModel(cnn, { loss, train: ["fc.*"] }), "train").nn;
    const half = built(networkOfModel(cnn, { loss, freeze: ["*1.*"] }), "train").nn;

    assert.deepEqual(names(all), ["bn1.bias", "bn1.weight", "bn2.bias", "bn2.weight", "conv1.weight", "conv2.bias", "conv2.weight", "fc.bias", "fc.weight"]);
    assert.deepEqual([attribute(all), all.buffers.map(({ name }) => name)], [[1, 1], ["bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"]]);
    assert.deepEqual([names(head), attribute(head), head.buffers], [["fc.bias", "fc.weight"], [0, 0], []]);
    assert.deepEqual([attribute(half), half.buffers.map(({ name }) => name)], [[0, 1], ["bn2.running_mean", "bn2.running_var"]]);
    assert.ok(all.buffers.every(({ next }) => next !== undefined));
  });

  it("has training forms in mode train alone, and the same parameters in every mode", () => {
    const network = networkOfModel(fixture("cnn-legacy"), { loss });
    const [train, evaluate] = [built(network, "train").nn, built(network, "eval").nn];

    assert.deepEqual(names(evaluate), names(train));
    assert.deepEqual(attribute(evaluate), [0, 0]);
    assert.deepEqual(built(network, "infer").nn.graph.inputs.map(({ name, shape }) => [name, shape[0]]), [["x", 4]]);
  });

  it("does not take tables, masks and scales of the graph for weights", () => {
    const weights = [...weightsOfModel(fixture("gpt-legacy")).values()];

    assert.deepEqual(weights.filter(({ learned }) => learned).map(({ name }) => name).filter((name) => /Constant|onnx::/.test(name)), []);
    assert.equal(weights.filter(({ learned }) => learned).length, 16);
  });

  it("gets a fresh head where its own began", async () => {
    const model = fixture("bert-dynamo");
    const network = networkOfModel(model, { loss, train: [], head: { classes: 5 } });
    const { nn, outputs } = built(network, "infer", {});

    const session = await ort.InferenceSession.create(buildModel({ graph: nn.graph, outputs }), { logSeverityLevel: 3 });
    const { logits } = await session.run({ x: new ort.Tensor("int64", BigInt64Array.from({ length: 18 }, (_, index) => BigInt(index % 16)), [3, 6]) });

    assert.deepEqual(logits?.dims, [3, 5]);
    assert.deepEqual(names(built(network, "train").nn), ["head.bias", "head.weight"]);
    assert.equal(Buffer.from(buildModel({ graph: nn.graph, outputs })).includes("classifier.weight"), false);
  });

  const MNIST = "assets/onnx-small/mnist-cnn.onnx";
  it("can be one of an old exporter, whose weights are reshaped on their way", { skip: skipWithout(MNIST) }, () => {
    const network = networkOfModel(readModel(readFileSync(sharedAsset(MNIST) ?? "")), { loss });

    assert.equal(names(built(network, "train").nn).length, 6);
  });

  it("drops what the model says while it trains, by masks of the scope", () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", ["batch", 4]);
    const [dropped] = graph.nodeOf("Dropout", [x, graph.constant("FP32", [], [0.25])], [{ datatype: "FP32", shape: ["batch", 4] }], {}, "", "drop") as [Value];
    const model = readModel(buildModel({ graph, outputs: { y: mul(graph, dropped, graph.weight("w", tensorOf("FP32", [4], [1, 2, 3, 4]))) } }));
    const network = networkOfModel(model, { loss });

    assert.deepEqual(built(network, "train").nn.masks.map(({ name, shape, rate }) => ({ name, shape, rate })), [{ name: "dropout.drop", shape: [4, 4], rate: 0.25 }]);
    assert.deepEqual([built(network, "eval").nn.masks, built(network, "eval").opTypes.includes("Dropout")], [[], false]);
    assert.deepEqual(built(networkOfModel(model, { loss, dropout: false }), "train").nn.masks, []);
  });

  it("is refused when nothing of it would learn, or its head is not found", () => {
    const says = (pattern: RegExp) => (error: unknown) => error instanceof GraphError && pattern.test(error.message);

    assert.throws(() => networkOfModel(fixture("mlp-legacy"), { loss, freeze: ["*"] }), says(/nothing of the model is trained/));
    assert.throws(() => built(networkOfModel(fixture("mlp-legacy"), { loss, head: { classes: 2, at: "nowhere" } }), "eval"), says(/no value "nowhere"/));
    assert.equal(headInput(fixture("mlp-legacy"), "y"), "/1/Relu_output_0");
  });
});

describe("models that cannot be trained", () => {
  const model = (make: (graph: Graph, x: Value) => Value, change: (model: ModelProto) => void = () => undefined): ModelProto => {
    const graph = new Graph();
    const read = readModel(buildModel({ graph, outputs: { y: make(graph, graph.input("x", "FP32", [4])) } }));
    change(read);
    return readModel(toBinary(ModelProtoSchema, create(ModelProtoSchema, read)));
  };
  const like = (graph: Graph, opType: string, inputs: Value[], attributes: Parameters<Graph["node"]>[3] = {}, domain = ""): Value => graph.node(opType, inputs, { datatype: "FP32", shape: [4] }, attributes, domain);
  const cases: readonly (readonly [string, ModelProto, RegExp])[] = [
    ["sums by ScatterND", model((graph, x) => like(graph, "ScatterND", [x, graph.constant("INT64", [1, 1], [0n]), graph.constant("FP32", [1], [1])], { reduction: "add" })), /\(ScatterND\).*ScatterElements/],
    ["random operators", model((graph, x) => like(graph, "RandomNormalLike", [x], { seed: { float: 1 } })), /\(RandomNormalLike\).*as an input/],
    ["operators of strangers", model((graph, x) => like(graph, "Evil", [x], {}, "evil")), /"evil"/],
    ["operators that are not known", model((graph, x) => like(graph, "StringNormalizer", [x])), /\(StringNormalizer\): the operator is not known here; \d+ are/],
    ["opsets of the future", model((graph, x) => like(graph, "Relu", [x]), (read) => { (read.opsetImport[0] as { version: bigint }).version = 40n; }), /opset 40 is newer than 26/],
    ["IR versions of the future", model((graph, x) => like(graph, "Relu", [x]), (read) => { read.irVersion = 14n; }), /IR version 14/],
    ["more nodes than gradients can stand", model((graph, x) => Array.from({ length: 10_001 }).reduce<Value>((value) => like(graph, "Relu", [value]), x)), /more than 10000 nodes/],
  ];
  for (const [what, hostile, message] of cases) {
    it(`are refused by name: ${what}`, () => assert.throws(() => checkTrainable(hostile), (error) => error instanceof StatusError && error.reason === "MODEL_REFUSED" && message.test(error.message)));
  }

  it("and files changed at random are taken or refused, never anything else", () => {
    const random = seededRandom(17);
    const files = ["cnn-dynamo", "bert-dynamo", "lstm-legacy", "gpt-dynamo"].map((name) => readFileSync(new URL(`fixtures/${name}.onnx`, import.meta.url)));
    for (let round = 0; round < 200; round++) {
      const bytes = new Uint8Array(files[round % files.length] as Buffer);
      for (let change = 0; change < 3; change++) bytes[random.below(bytes.length)] = random.below(256);

      try {
        const read = readModel(bytes);
        checkTrainable(read);
        const nn = new Scope({ mode: "train", dimensions: { batch: 2 } });
        buildModel({ graph: nn.graph, outputs: Object.fromEntries(trainable(nn, read).outputs) });
      } catch (error) {
        assert.ok(error instanceof StatusError || error instanceof GraphError, `round ${round}: ${String(error)}`);
      }
    }
  });
});
