import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { elementsOf, tensorOf, type Tensor } from "@servable/tensor";
import { sharedAsset, skipWithout } from "@servable/testing";
import { readBitmap, toNetworkInput } from "../src/bitmap.ts";
import { TestPlatform } from "../src/test-platform.ts";

const PICTURES = "assets/imagenet-mobilenetv2";
const BERT = "assets/bert-mini-intents";
const RESNET = "assets/resnet-cifar10/resnet20.onnx";
const asset = (path: string): string => sharedAsset(path) ?? "";

interface Golden {
  readonly task: "banking77" | "clinc150";
  readonly ids: readonly number[];
  readonly label: string;
  readonly p: number;
  readonly embedding_head: readonly number[];
}

describe("real models through the gateway", { timeout: 120_000, skip: skipWithout(`${PICTURES}/mobilenet_v2_1.0_224_fp32.onnx`, `${BERT}/expected.json`, RESNET) }, () => {
  let platform: TestPlatform;
  before(async () => {
    platform = await TestPlatform.create();
  });
  after(() => platform[Symbol.asyncDispose]());
  const serve = async (model: string, file: string): Promise<void> => {
    await platform.client.models.importFile({ model, file: asset(file) });
    await platform.client.deployments.deploy({ model });
  };
  const numbers = (tensor: Tensor | undefined): number[] => elementsOf(tensor as Tensor) as number[];

  it("MobileNetV2 names what is in the pictures", async () => {
    await serve("mobilenet", `${PICTURES}/mobilenet_v2_1.0_224_fp32.onnx`);
    const labels = readFileSync(asset(`${PICTURES}/imagenet_labels.txt`), "utf8").split("\n");

    for (const [picture, want] of [["bird.bmp", "chickadee"], ["grace_hopper.bmp", "military uniform"], ["sunflower.bmp", "daisy"]] as const) {
      const input = tensorOf("FP32", [1, 3, 224, 224], toNetworkInput(readBitmap(readFileSync(asset(`${PICTURES}/pictures/${picture}`))), 224));
      const scores = numbers((await platform.client.inference.infer({ model: "mobilenet", inputs: { input } })).outputs["output"]);
      assert.equal(labels[scores.indexOf(Math.max(...scores))]?.split(",")[0], want, picture);
    }
  });

  it("BERT finds the recorded intents with the recorded probabilities, over gRPC and JSON alike", async () => {
    const names = JSON.parse(readFileSync(asset(`${BERT}/labels.json`), "utf8")) as Record<string, string[]>;
    for (const task of ["banking77", "clinc150"]) await serve(task, `${BERT}/classifier-${task}.onnx`);

    for (const { task, ids, label, p, embedding_head } of JSON.parse(readFileSync(asset(`${BERT}/expected.json`), "utf8")) as Golden[]) {
      const row = (values: readonly number[]) => tensorOf("INT64", [1, ids.length], values);
      const inputs = { input_ids: row(ids), attention_mask: row(ids.map(() => 1)), token_type_ids: row(ids.map(() => 0)) };
      const { outputs } = await platform.client.inference.infer({ model: task, inputs });
      const exponentials = numbers(outputs["logits"]).map((logit, _, all) => Math.exp(logit - Math.max(...all)));
      const best = exponentials.indexOf(Math.max(...exponentials));
      assert.equal(names[`labels_${task}`]?.[best], label);
      assert.ok(Math.abs((exponentials[best] ?? 0) / exponentials.reduce((a, b) => a + b) - p) < 2e-3); // the golden has four digits
      embedding_head.forEach((value, index) => assert.ok(Math.abs((numbers(outputs["sentence_embedding"])[index] ?? 0) - value) < 1e-3));

      const answer = await platform.fetch(`/v1/models/${task}:predict`, { method: "POST", body: JSON.stringify({ instances: [{ input_ids: ids, attention_mask: ids.map(() => 1), token_type_ids: ids.map(() => 0) }] }) });
      const { predictions } = (await answer.json()) as { predictions: [{ logits: number[] }] };
      assert.equal(predictions[0].logits.indexOf(Math.max(...predictions[0].logits)), best);
    }
  });

  it("ResNet-20 takes batches of any size and answers each picture as if it came alone", async () => {
    await serve("resnet", RESNET);
    const picture = (seed: number): number[] => Array.from({ length: 3 * 32 * 32 }, (_, index) => Math.sin(seed + index * 0.37));
    const logits = async (batch: number[][]): Promise<number[]> => numbers((await platform.client.inference.infer({ model: "resnet", inputs: { input: tensorOf("FP32", [batch.length, 3, 32, 32], batch.flat()) } })).outputs["logits"]);

    const together = await logits([picture(1), picture(2), picture(3)]);
    const apart = (await Promise.all([1, 2, 3].map((seed) => logits([picture(seed)])))).flat();

    assert.equal(together.length, 30);
    together.forEach((value, index) => assert.ok(Math.abs(value - (apart[index] ?? 0)) < 1e-3)); // f32, other summation order
  });
});
