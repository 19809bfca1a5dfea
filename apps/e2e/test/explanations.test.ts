import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCli } from "@servable/cli";
import { ExplainMethod } from "@servable/contracts/inference/v1/explanation";
import { StatusError, type Reason } from "@servable/errors";
import { Graph, add, buildModel, matMul, type Value } from "@servable/onnx";
import { tensorOf, type Tensor } from "@servable/tensor";
import { sharedAsset, skipWithout, tempDir } from "@servable/testing";
import { readBitmap, toNetworkInput } from "../src/bitmap.ts";
import { TestPlatform } from "../src/test-platform.ts";

const because = (reason: Reason, words: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === reason && words.test(error.message);
const row = (...values: number[]): Tensor => tensorOf("FP32", [1, values.length], values);

/** y = x·w + b with two outputs: what each element adds is known by heart. */
function linearModel(): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", 3]);
  const y = add(graph, matMul(graph, x, graph.constant("FP32", [3, 2], [1, -1, 2, 0.5, 3, 4])), graph.constant("FP32", [2], [10, 20]));
  return buildModel({ graph, outputs: { y } });
}

/** The same behind an operator that has no gradient. */
function stepModel(): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", 3]);
  const remainder: Value = graph.node("Mod", [x, graph.constant("FP32", [], [100])], { datatype: "FP32", shape: ["batch", 3] }, { fmod: 1 });
  return buildModel({ graph, outputs: { y: matMul(graph, remainder, graph.constant("FP32", [3, 1], [1, 2, 3])) } });
}

describe("explanations", { timeout: 180_000 }, () => {
  let platform: TestPlatform;
  before(async () => {
    using directory = tempDir();
    platform = await TestPlatform.create();
    for (const [model, bytes] of [["linear", linearModel()], ["steps", stepModel()]] as const) {
      const file = join(directory.path, `${model}.onnx`);
      writeFileSync(file, bytes);
      await serve(model, file);
    }
  });
  after(() => platform[Symbol.asyncDispose]());
  const serve = async (model: string, file: string): Promise<void> => {
    await platform.client.models.importFile({ model, file });
    await platform.client.deployments.deploy({ model });
  };

  for (const [method, wire] of [["ig", ExplainMethod.INTEGRATED_GRADIENTS], ["occlusion", ExplainMethod.OCCLUSION], ["shapley", ExplainMethod.SHAPLEY]] as const) {
    it(`by ${method} give a linear model's weights times values, for each example of a batch`, async () => {
      const response = await platform.client.explanations.explain({ model: "linear", method, inputs: { x: tensorOf("FP32", [2, 3], [1, 2, 3, 4, 5, -6]) } });

      assert.deepEqual([response.method, response.output, response.fallbackReason, response.modelVersion], [wire, "y", "", "1"]);
      const [first, second] = response.explanations;
      // 1·1 + 2·2 + 3·3 + 10 = 24 and -1 + 1 + 12 + 20 = 32: the second is larger.
      assert.deepEqual([first?.target, first?.prediction, first?.baselinePrediction], [1n, 32, 20]);
      assert.deepEqual(first?.attributions.map(({ input, shape, values }) => [input, shape, values.map((value) => Math.round(value * 1e4) / 1e4)]), [["x", [1n, 3n], [-1, 1, 12]]]);
      assert.deepEqual([second?.target, second?.attributions[0]?.values.map((value) => Math.round(value * 1e4) / 1e4)], [0n, [4, 10, -18]]);
      assert.ok((first?.completenessError ?? 1) < 1e-4);
    });
  }

  it("fall back to occlusion by themselves, and say why; asked for gradients they name the operator", async () => {
    const response = await platform.client.explanations.explain({ model: "steps", inputs: { x: row(1, 2, 3) } });

    assert.equal(response.method, ExplainMethod.OCCLUSION);
    assert.match(response.fallbackReason, /Mod has no gradient rule/);
    assert.deepEqual(response.explanations[0]?.attributions[0]?.values, [1, 4, 9]);
    await assert.rejects(platform.client.explanations.explain({ model: "steps", method: "ig", inputs: { x: row(1, 2, 3) } }), because("EXPLANATION_UNSUPPORTED", /Mod has no gradient rule \("Mod_1"\)/));
  });

  it("come as extra outputs of an ordinary infer call whose parameters ask for them", async () => {
    const body = { id: "7", inputs: [{ name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] }], parameters: { explain: "ig", explain_target: 0, explain_steps: 4 } };

    const answer = (await (await platform.fetch("/v2/models/linear/infer", { method: "POST", body: JSON.stringify(body) })).json()) as { id: string; outputs: { name: string; shape: number[]; data: number[] }[]; parameters: Record<string, unknown> };

    assert.deepEqual(answer.outputs.map(({ name, shape, data }) => [name, shape, data]), [["y", [1, 2], [24, 32]], ["x.attribution", [1, 3], [1, 4, 9]]]);
    assert.deepEqual([answer.id, answer.parameters["explain_method"], answer.parameters["explain_target"], answer.parameters["explain_steps"], answer.parameters["explain_completeness_error"]], ["7", "ig", 0, 4, 0]);
  });

  it("are asked for by name as well, and refuse what they do not know by the parameter's name", async () => {
    const infer = async (parameters: Record<string, unknown>, outputs?: string[]): Promise<{ status: number; body: { error?: string; outputs?: { name: string }[] } }> => {
      const response = await platform.fetch("/v2/models/linear/infer", { method: "POST", body: JSON.stringify({ inputs: [{ name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] }], parameters, ...(outputs === undefined ? {} : { outputs: outputs.map((name) => ({ name })) }) }) });
      return { status: response.status, body: (await response.json()) as { error?: string; outputs?: { name: string }[] } };
    };

    assert.deepEqual((await infer({ explain: "occlusion" }, ["y", "x.attribution"])).body.outputs?.map(({ name }) => name), ["y", "x.attribution"]);
    for (const [parameters, words] of [[{ explain: "magic" }, /parameters\.explain is "magic"/], [{ explain: "ig", explain_steps: 99_999 }, /explain_steps/], [{ explain: "ig", explain_target: 2 }, /target is 2, but output "y" has 2 elements/], [{ explain: "ig", explain_baseline: "fog" }, /explain_baseline/]] as const) {
      const { status, body } = await infer(parameters);
      assert.equal(status, 400);
      assert.match(body.error ?? "", words);
    }
  });

  it("are had as JSON, of examples or tensors", async () => {
    const explain = async (body: object): Promise<{ status: number; body: { method: string; explanations: { target: number; attributions: { values: number[] }[] }[]; error?: { message: string } } }> => {
      const response = await platform.fetch("/v1/explain", { method: "POST", body: JSON.stringify(body) });
      return { status: response.status, body: (await response.json()) as never };
    };

    const { body } = await explain({ model: "linear", method: "ig", instances: [[1, 2, 3]], target: 0 });
    assert.deepEqual([body.method, body.explanations[0]?.target, body.explanations[0]?.attributions[0]?.values], ["ig", 0, [1, 4, 9]]);
    const other = await explain({ model: "linear", method: "shapley", inputs: [{ name: "x", datatype: "FP32", shape: [1, 3], data: [1, 2, 3] }], target: 0, baseline: 1 });
    assert.deepEqual(other.body.explanations[0]?.attributions[0]?.values, [0, 2, 6]);
    const against = await explain({ model: "linear", method: "ig", instances: [[1, 2, 3]], target: 0, steps: 4, baseline_instance: [1, 0, 2] });
    assert.deepEqual(against.body.explanations[0]?.attributions[0]?.values, [0, 4, 3]);
    assert.equal((await explain({ model: "linear", instances: [[1, 2, 3]], baseline_instance: [1, 0] })).status, 400);
    assert.equal((await explain({ model: "nobody", instances: [[1, 2, 3]] })).status, 404);
    assert.equal((await explain({ model: "linear", instances: [[1, 2, 3]], methd: "ig" })).status, 400);
  });

  it("end when nobody has time for them any more", async () => {
    await assert.rejects(platform.client.explanations.explain({ model: "steps", method: "shapley", steps: 1024, inputs: { x: row(1, 2, 3) }, timeoutMs: 40 }), because("DEADLINE_EXCEEDED", /./));
  });

  const PICTURES = "assets/imagenet-mobilenetv2";
  it("of MobileNetV2 lie on what the picture shows", { skip: skipWithout(`${PICTURES}/mobilenet_v2_1.0_224_fp32.onnx`) }, async () => {
    await serve("mobilenet", sharedAsset(`${PICTURES}/mobilenet_v2_1.0_224_fp32.onnx`) ?? "");
    const input = tensorOf("FP32", [1, 3, 224, 224], toNetworkInput(readBitmap(readFileSync(sharedAsset(`${PICTURES}/pictures/sunflower.bmp`) ?? "")), 224));

    const response = await platform.client.explanations.explain({ model: "mobilenet", method: "ig", steps: 24, inputs: { input } });

    const [only] = response.explanations;
    assert.ok((only?.prediction ?? 0) > 0.3, String(only?.prediction));
    assert.ok((only?.completenessError ?? 1) < 0.1 * ((only?.prediction ?? 0) - (only?.baselinePrediction ?? 0)), String(only?.completenessError));
    assert.equal(only?.attributions[0]?.values.length, 3 * 224 * 224);
  });

  const BERT = "assets/bert-mini-intents";
  it("of a text give every token its part", { skip: skipWithout(`${BERT}/classifier-banking77.onnx`) }, async () => {
    await serve("banking77", sharedAsset(`${BERT}/classifier-banking77.onnx`) ?? "");
    const [golden] = JSON.parse(readFileSync(sharedAsset(`${BERT}/expected.json`) ?? "", "utf8")) as { ids: number[] }[];
    const ids = golden?.ids ?? [];
    const list = (values: readonly number[]): Tensor => tensorOf("INT64", [1, values.length], values);
    const inputs = { input_ids: list(ids), attention_mask: list(ids.map(() => 1)), token_type_ids: list(ids.map(() => 0)) };

    const gradients = await platform.client.explanations.explain({ model: "banking77", method: "ig", inputs });
    const hidden = await platform.client.explanations.explain({ model: "banking77", method: "occlusion", inputs });

    for (const response of [gradients, hidden]) assert.deepEqual(response.explanations[0]?.attributions.map(({ input, shape }) => [input, shape]), [["input_ids", [1n, BigInt(ids.length)]]]);
    const [only] = gradients.explanations;
    assert.ok((only?.completenessError ?? 1) <= 0.05 * Math.abs((only?.prediction ?? 0) - (only?.baselinePrediction ?? 0)), String(only?.completenessError));
  });

  /** A version with its manifest and what that names. */
  const serveTask = async (example: string, model: string, file: string, besides: readonly string[]): Promise<void> => {
    using directory = tempDir();
    copyFileSync(sharedAsset(file) ?? "", join(directory.path, "model.onnx"));
    copyFileSync(new URL(`../../../examples/tasks/${example}/servable.yaml`, import.meta.url), join(directory.path, "servable.yaml"));
    for (const path of besides) copyFileSync(sharedAsset(path) ?? "", join(directory.path, basename(path)));
    await servable("models", "import", join(directory.path, "model.onnx"), "--name", model);
    await servable("deploy", model);
  };
  const servable = async (...args: string[]): Promise<string> => {
    const lines: string[] = [];
    const { grpcAddress, httpAddress } = platform.platform;
    const output = { write: (text: string) => lines.push(text) };
    const code = await runCli(args, { stdout: output, stderr: output, env: { ...process.env, SERVABLE_ADDRESS: grpcAddress, SERVABLE_HTTP_ADDRESS: httpAddress.replace("http://", ""), SERVABLE_API_KEY: platform.apiKey } });
    assert.equal(code, 0, lines.join(""));
    return lines.join("");
  };

  it("of a picture file are drawn over what the model saw", { skip: skipWithout(`${PICTURES}/mobilenet_v2_1.0_224_fp32.onnx`) }, async () => {
    using directory = tempDir();
    await serveTask("mobilenet", "pictures", `${PICTURES}/mobilenet_v2_1.0_224_fp32.onnx`, [`${PICTURES}/imagenet_labels.txt`]);
    const out = join(directory.path, "goldfish.png");

    const text = await servable("explain", "pictures", "--image", sharedAsset(`${PICTURES}/pictures/goldfish.jpg`) ?? "", "--method", "ig", "--steps", "16", "--out", out);

    assert.match(text, /"goldfish, Carassius auratus" \(output\) is 0\.99/);
    const png = readFileSync(out);
    assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [448, 224]);
  });

  it("of a sentence say how much each word added", { skip: skipWithout(`${BERT}/classifier-banking77.onnx`, `${BERT}/tokenizer.json`) }, async () => {
    using directory = tempDir();
    await serveTask("intents", "intents", `${BERT}/classifier-banking77.onnx`, [`${BERT}/tokenizer.json`, `${BERT}/labels.json`]);
    const [sentence, page] = ["I am still waiting for my new card, it has not arrived yet.", join(directory.path, "card.html")];

    const printed = await servable("explain", "intents", "--text", sentence, "--out", page);
    const response = await platform.client.explanations.explain({ model: "intents", text: sentence, method: "shapley", steps: 4 });

    assert.match(printed, /"card_arrival" \(logits\) is 8\.4|"card_arrival" \(logits\) is 8\.3/);
    assert.match(readFileSync(page, "utf8"), /<h1>Why intents says card_arrival<\/h1>/);
    const [only] = response.explanations;
    const weights = response.tokens.map(({ text: token, start, end }, index) => ({ token, there: start < 0 ? undefined : sentence.slice(start, end), weight: only?.attributions[0]?.values[index] ?? 0 }));
    for (const { token, there } of weights) if (there !== undefined) assert.equal(there.toLowerCase(), token.toLowerCase());
    // Special tokens are the same in the baseline, and the words of the matter weigh most.
    for (const { there, weight } of weights) if (there === undefined) assert.equal(weight, 0);
    assert.ok(weights.toSorted((a, b) => b.weight - a.weight).slice(0, 4).some(({ token }) => token === "card"));
    assert.ok((only?.completenessError ?? 1) < 1e-3);
  });
});
