import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { Scope } from "@servable/nn";
import { Graph, GraphError, ModelProtoSchema, add, buildModel, conv, gemm, matMul, readModel, transpose, type ModelProto, type Value } from "@servable/onnx";
import { tensorOf } from "@servable/tensor";
import { seededRandom, sharedAsset, skipWithout } from "@servable/testing";
import ort from "onnxruntime-node";
import { adaptersOf, applyLora, mergeLora, networkOfModel, trainable, type LoraAdapters, type LoraOptions } from "../src/index.ts";

type Feeds = Readonly<Record<string, ort.Tensor>>;

async function run(bytes: Uint8Array, feeds: Feeds): Promise<number[]> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 3, intraOpNumThreads: 1 });
  const results = await session.run(feeds);
  return Array.from(results[session.outputNames[0] ?? ""]?.data as Float32Array);
}

/** A serving graph of the model with given values for its parameters. */
function served(model: ModelProto, lora: LoraOptions, weights: ReadonlyMap<string, Float32Array>): Uint8Array {
  const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
  const { outputs } = trainable(nn, model, { lora });
  return buildModel({ graph: nn.graph, outputs: Object.fromEntries(outputs) });
}

/** Parameters as a training would leave them: nothing is zero. */
function trained(model: ModelProto, lora: LoraOptions): Map<string, Float32Array> {
  const nn = new Scope({ mode: "eval", dimensions: { batch: 2, sequence: 4 } });
  trainable(nn, model, { lora });
  const random = seededRandom(5);
  return new Map(nn.parameters.map(({ name, initial }) => [name, initial().map((value) => value + 0.05 * (random.next() - 0.5))]));
}

const close = (got: readonly number[], want: readonly number[], tolerance: number): void => got.forEach((value, index) => assert.ok(Math.abs(value - (want[index] ?? NaN)) <= tolerance, `[${index}]: ${value} for ${want[index]}`));
const differs = (got: readonly number[], want: readonly number[]): boolean => got.some((value, index) => Math.abs(value - (want[index] ?? NaN)) > 1e-3);

/** Every form in which a weight of a linear layer is written, and a convolution. */
function linearModel(): ModelProto {
  const graph = new Graph();
  const random = seededRandom(3);
  const weight = (name: string, ...shape: number[]): Value => graph.weight(name, tensorOf("FP32", shape, Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () => random.next() - 0.5)));
  const x = graph.input("x", "FP32", ["batch", 4]);
  const plain = add(graph, matMul(graph, x, weight("plain", 4, 6)), weight("plain.bias", 6));
  const turned = gemm(graph, plain, weight("turned", 5, 6), { c: weight("turned.bias", 5), transB: true });
  const behind = matMul(graph, turned, transpose(graph, weight("behind", 18, 5)));
  const image = graph.node("Reshape", [behind, graph.constant("INT64", [4], [0n, 2n, 3n, 3n])], { datatype: "FP32", shape: ["batch", 2, 3, 3] });
  return readModel(buildModel({ graph, outputs: { y: conv(graph, image, weight("kernel", 3, 2, 2, 2), { pads: [1, 0, 0, 1] }) } }));
}
const x = { x: new ort.Tensor("float32", Float32Array.from({ length: 8 }, (_, index) => Math.cos(index)), [2, 4]) };

describe("low-rank adapters", () => {
  const lora = { rank: 2, alpha: 3, target: ["*"] };

  it("change nothing at first", async () => {
    const model = linearModel();

    close(await run(served(model, lora, new Map()), x), await run(toBinary(ModelProtoSchema, model), x), 1e-6);
  });

  it("stand beside matrices in every form and beside kernels, and give the same when they are merged or applied again", async () => {
    const model = linearModel();
    const weights = trained(model, lora);
    const adapters = adaptersOf(weights, model, lora);

    const want = await run(served(model, lora, weights), x);

    assert.deepEqual([...adapters.tensors.keys()].sort(), ["behind", "kernel", "plain", "turned"].flatMap((name) => [`${name}.lora_A`, `${name}.lora_B`]));
    assert.deepEqual(adapters.metadata, { format: "servable-lora", rank: "2", alpha: "3" });
    assert.ok(differs(want, await run(toBinary(ModelProtoSchema, model), x)));
    close(await run(applyLora(model, adapters), x), want, 1e-5);
    close(await run(toBinary(ModelProtoSchema, mergeLora(model, adapters)), x), want, 1e-5);
  });

  it("train alone: their weights are the parameters, unless others are chosen besides", () => {
    const parameters = (options: Parameters<typeof trainable>[2]): string[] => {
      const nn = new Scope({ mode: "eval" });
      trainable(nn, linearModel(), options);
      return nn.parameters.map(({ name }) => name).sort();
    };

    assert.deepEqual(parameters({ lora: { rank: 1, target: ["plain"] } }), ["plain.lora_A", "plain.lora_B"]);
    assert.deepEqual(parameters({ lora: { rank: 1, target: ["plain"] }, train: ["*.bias"] }), ["plain.bias", "plain.lora_A", "plain.lora_B", "turned.bias"]);
    assert.deepEqual(parameters({ freeze: ["plain*", "kernel"] }), ["behind", "turned", "turned.bias"]);
  });

  it("that fit nothing are refused with the name of what is missing", () => {
    const model = linearModel();
    const adapters = adaptersOf(trained(model, lora), model, lora);
    const other = (change: Partial<LoraAdapters>) => () => mergeLora(model, { ...adapters, ...change });
    const says = (pattern: RegExp) => (error: unknown) => error instanceof GraphError && pattern.test(error.message);

    assert.throws(() => trainable(new Scope({ mode: "eval" }), model, { lora: { rank: 1, target: ["encoder.*"] } }), says(/"encoder\.\*".*plain/));
    assert.throws(() => networkOfModel(model, { train: ["nothing"], loss: () => { throw new Error("never"); } }), says(/train: no weight.*"nothing"/));
    assert.throws(other({ metadata: {} }), says(/no adapters/));
    assert.throws(other({ tensors: new Map([["w.lora_A", tensorOf("FP32", [1], [1])]]) }), says(/no weight "w"/));
    assert.throws(other({ tensors: new Map([...adapters.tensors, ["plain.lora_B", tensorOf("FP32", [1], [1])]]) }), says(/"plain\.lora_B" must be FP32\[2,6\]/));
  });

  const BERT = "assets/bert-mini-intents/classifier-banking77.onnx";
  it("on BERT-mini: merged and unmerged agree", { skip: skipWithout(BERT) }, async () => {
    const model = readModel(readFileSync(sharedAsset(BERT) ?? ""));
    const bertLora = { rank: 4 };
    const weights = trained(model, bertLora);
    const adapters = adaptersOf(weights, model, bertLora);
    const ids = (values: readonly number[]): ort.Tensor => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [2, 4]);
    const feeds = { input_ids: ids([2, 100, 57, 3, 2, 1200, 8, 3]), attention_mask: ids([1, 1, 1, 1, 1, 1, 1, 1]), token_type_ids: ids([0, 0, 0, 0, 0, 0, 0, 0]) };

    const [want, merged, plain] = [await run(applyLora(model, adapters), feeds), await run(toBinary(ModelProtoSchema, mergeLora(model, adapters)), feeds), await run(toBinary(ModelProtoSchema, model), feeds)];

    assert.ok(adapters.tensors.size >= 2 * 4 * 6, `only ${adapters.tensors.size} factors`);
    assert.ok(differs(want, plain));
    close(merged, want, 2e-4); // logits of size 10 after four layers
  });
});
