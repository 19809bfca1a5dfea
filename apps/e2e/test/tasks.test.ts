import assert from "node:assert/strict";
import { copyFileSync, linkSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCli } from "@servable/cli";
import { StatusError } from "@servable/errors";
import { sharedAsset, skipWithout, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

const ASSETS = "assets";
const FILES = [`${ASSETS}/imagenet-mobilenetv2/expected.json`, `${ASSETS}/bert-mini-intents/expected.json`, `${ASSETS}/speech-vad/test.wav`, `${ASSETS}/ocr/ppocr_keys_v1.txt`];
const asset = (path: string): string => sharedAsset(`${ASSETS}/${path}`) ?? "";
const example = (name: string): string => join(import.meta.dirname, "../../../examples/tasks", name, "servable.yaml");
const PAGE = join(import.meta.dirname, "../../inference/test/support/page.png");

describe("ready-made tasks on a platform", { timeout: 240_000, skip: skipWithout(...FILES) }, () => {
  let platform: TestPlatform;
  const folder = tempDir();
  before(async () => (platform = await TestPlatform.create({ replicas: 2 })));
  after(async () => {
    await platform[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  const cli = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
    const written = { out: "", err: "" };
    const code = await runCli([...args, "--address", platform.platform.grpcAddress, "--api-key", platform.apiKey], {
      stdout: { write: (text) => (written.out += text) },
      stderr: { write: (text) => (written.err += text) },
      env: {},
    });
    return { code, ...written };
  };
  /** Imports and deploys by the command line, as the guide says: the manifest and its files lie beside the model. */
  const serve = async (name: string, model: string, manifest: string | undefined, ...files: string[]): Promise<void> => {
    const own = join(folder.path, name);
    mkdirSync(own);
    copyFileSync(asset(model), join(own, "model.onnx"));
    if (manifest !== undefined) copyFileSync(example(manifest), join(own, "servable.yaml"));
    for (const file of files) copyFileSync(asset(file), join(own, file.split("/").at(-1) ?? file));
    const imported = await cli("models", "import", join(own, "model.onnx"), "--name", name);
    assert.equal(imported.code, 0, imported.err);
    await platform.client.deployments.deploy({ model: name });
  };

  it("name a picture by gRPC, REST and command alike", async () => {
    await serve("mobilenet", "imagenet-mobilenetv2/mobilenet_v2_1.0_224_qdq_uint8.onnx", "mobilenet", "imagenet-mobilenetv2/imagenet_labels.txt");
    const picture = asset("imagenet-mobilenetv2/pictures/bird.bmp");

    const { labels } = await platform.client.tasks.classifyImage(picture, { model: "mobilenet", topK: 2 });
    const rest = (await (await platform.fetch("/v1/tasks/classify-image?model=mobilenet&top_k=2", { method: "POST", body: readFileSync(picture) })).json()) as { labels: { label: string; probability: number }[] };
    const command = await cli("classify-image", "mobilenet", picture, "--top", "2");

    assert.deepEqual(labels.map(({ label }) => label), rest.labels.map(({ label }) => label));
    assert.equal(labels[0]?.label, "chickadee");
    assert.match(command.out, /chickadee\s+99\.\d %/);
  });

  it("label sentences and give their vectors, to OpenAI's clients too", async () => {
    await serve("intents", "bert-mini-intents/classifier-banking77.onnx", "intents", "bert-mini-intents/tokenizer.json", "bert-mini-intents/labels.json");
    const [golden] = JSON.parse(readFileSync(asset("bert-mini-intents/expected.json"), "utf8")) as { text: string; label: string; ids: number[]; embedding_head: number[] }[];
    const text = golden?.text ?? "";

    const { results } = await platform.client.tasks.classifyText([text], { model: "intents" });
    const embedded = await platform.fetch("/v1/embeddings", { method: "POST", body: JSON.stringify({ model: "intents", input: [text], encoding_format: "base64" }) });
    const { data, usage } = (await embedded.json()) as { data: { embedding: string }[]; usage: { total_tokens: number } };
    const bytes = Buffer.from(data[0]?.embedding ?? "", "base64");

    assert.equal(results[0]?.labels[0]?.label, golden?.label);
    golden?.embedding_head.forEach((value, index) => assert.ok(Math.abs(bytes.readFloatLE(index * 4) - value) < 1e-3)); // goldens of five digits
    assert.equal(usage.total_tokens, golden?.ids.length);
    assert.match((await cli("embed", "intents", text, "my card did not arrive")).out, /likeness to the first\n.*1\.000\n.*0\.\d/s);
    assert.match((await cli("classify-text", "intents", text, "--json")).out, /"label": "card_arrival"/);
  });

  it("of many callers share batches, as every other call", async () => {
    const files = [{ path: "model.onnx", file: asset("bert-mini-intents/classifier-banking77.onnx") }, { path: "servable.yaml", file: example("intents") }, ...["tokenizer.json", "labels.json"].map((path) => ({ path, file: asset(`bert-mini-intents/${path}`) }))];
    await platform.client.models.importVersion({ model: "batched", files, servingConfigJson: '{"max_batch_size": 8, "dynamic_batching": {"max_queue_delay_microseconds": 20000}}' });
    await platform.client.deployments.deploy({ model: "batched" });

    const answers = await Promise.all(Array.from({ length: 24 }, () => platform.client.tasks.classifyText(["my card has not arrived yet"], { model: "batched", topK: 1 })));
    const { model_stats } = (await (await platform.fetch("/v2/models/batched/stats")).json()) as { model_stats: { inference_count: number; execution_count: number }[] };

    assert.ok(answers.every(({ results }) => results[0]?.labels[0]?.label === "card_arrival"));
    assert.equal(model_stats[0]?.inference_count, 24);
    assert.ok((model_stats[0]?.execution_count ?? 24) < 24, `${model_stats[0]?.execution_count} executions`);
  });

  it("find speech in a recording", async () => {
    await serve("vad", "speech-vad/silero_vad.onnx", "speech");
    const { segments, audioMs, speechMs } = await platform.client.tasks.detectSpeech(asset("speech-vad/test.wav"), { model: "vad" });

    assert.deepEqual([segments.length, audioMs, segments[0]?.startMs, segments[0]?.endMs], [19, 60_000n, 2n, 2046n]);
    assert.match((await cli("detect-speech", "vad", asset("speech-vad/test.wav"))).out, new RegExp(`of 1:00.000 is speech, in 19 parts`));
    assert.equal(speechMs, segments.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0n));
  });

  it("read a page with three models, wherever they would be by themselves", async () => {
    await serve("ocr-lines", "ocr/ch_PP-OCRv4_rec_infer.onnx", "ocr-lines", "ocr/ppocr_keys_v1.txt");
    await serve("ocr-upright", "ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx", undefined);
    await serve("ocr-page", "ocr/ch_PP-OCRv4_det_infer.onnx", "ocr-page");
    const { out } = await cli("read-text", "ocr-page", PAGE);

    // The recogniser is unsure of narrow spaces.
    assert.deepEqual(out.trim().split("\n").map((line) => line.replaceAll(" ", "")), ["InvoiceNo.48213", "total$1,250.00", "paid", "Thankyouforyourorder!"]);
  });

  it("are refused where a model declares another one, and a manifest with a mistake is refused when it is imported", async () => {
    await assert.rejects(platform.client.tasks.readText(PAGE, { model: "vad" }), (error: unknown) => error instanceof StatusError && error.reason === "TASK_NOT_DECLARED" && /declares speech-detection/.test(error.message));
    const [model, manifest] = [join(folder.path, "model.onnx"), join(folder.path, "servable.yaml")];
    linkSync(join(folder.path, "vad", "model.onnx"), model);
    writeFileSync(manifest, "task: speech-detection\nspeech: {treshold: 0.5}");

    const { code, err } = await cli("models", "import", model, "--name", "mistaken");

    assert.notEqual(code, 0);
    assert.match(err, /speech.treshold is no field here/);
  });

  it("leave the service alone when a picture is none", async () => {
    for (const body of ["no picture", Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16])]) {
      const answer = await platform.fetch("/v1/tasks/classify-image?model=mobilenet", { method: "POST", body });
      assert.equal(answer.status, 400);
      assert.equal(((await answer.json()) as { error: { reason: string } }).error.reason, "IMAGE_INVALID");
    }
    assert.ok(await platform.client.inference.modelReady("mobilenet"));
  });
});
