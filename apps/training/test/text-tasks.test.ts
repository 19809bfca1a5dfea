import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Graph, buildModel, importGraph, readModel } from "@servable/onnx";
import { readTaskManifest } from "@servable/preprocessing";
import { sharedAsset, skipWithout, tempDir } from "@servable/testing";
import { createTokenizer } from "@servable/tokenizers";
import ort from "onnxruntime-node";
import type { AttemptInput } from "../src/domain/job-executor.ts";
import type { ModelFiles } from "../src/worker/learning-task.ts";
import { SPEC_DEFAULTS, type TrainingSpecRecord } from "../src/domain/training-spec-record.ts";
import { readTask } from "../src/worker/read-task.ts";
import { byteTokenizerJson, byteTokens } from "../src/worker/tasks/byte-tokenizer.ts";
import { NOT_ASKED, chatTokens } from "../src/worker/tasks/token-blocks.ts";
import { writeTinyEncoder } from "./support/tiny-encoder.ts";
import { trainTask } from "./support/train-task.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
const encoder = writeTinyEncoder(join(directory.path, "encoder"));
const base = (folder: string): NonNullable<AttemptInput["baseModel"]> => ({ folder, digest: "sha256:0" });
const spec: TrainingSpecRecord = { ...SPEC_DEFAULTS, family: "text_classifier", learningRate: 0.01, epochCount: 6, batchSize: 8, seed: 3, targetColumn: "intent" };

const REFUND = ["please refund my money", "i want my money back", "refund the order please", "i want a refund"];
const LOST = ["my card is lost", "lost my card", "where is my new card", "i want a new card"];

function intentsJob(change: Partial<TrainingSpecRecord> = {}, folder = encoder): AttemptInput {
  const path = join(directory.path, "intents.csv");
  writeFileSync(path, `text,intent\n${Array.from({ length: 10 }, () => [...REFUND.map((text) => `${text},refund`), ...LOST.map((text) => `${text},lost card`)]).flat().join("\n")}\n`);
  return { files: [{ role: "data", path }], format: "csv", columns: [{ name: "text", kind: "text" }, { name: "intent", kind: "categorical" }], missingValues: [], spec: { ...spec, ...change }, outputDir: directory.path, baseModel: base(folder) };
}

/** What serving does with the packed files: tokens by the packed tokenizer, the likeliest label. */
async function classify(files: ModelFiles, text: string): Promise<string | undefined> {
  const manifest = readTaskManifest(new TextDecoder().decode(files.get("servable.yaml")));
  const tokenizer = createTokenizer(new TextDecoder().decode(files.get(manifest.tokenizer?.file ?? "")));
  const { inputIds, attentionMask, tokenTypeIds, width } = tokenizer.encode([text], { tokensMax: manifest.tokenizer?.tokensMax ?? 1 });
  const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array, { logSeverityLevel: 3 });
  const feeds = { input_ids: inputIds, attention_mask: attentionMask, token_type_ids: tokenTypeIds };
  const { logits } = await session.run(Object.fromEntries(session.inputNames.map((name) => [name, new ort.Tensor("int64", feeds[name as keyof typeof feeds], [1, width])])));
  const { labels } = JSON.parse(new TextDecoder().decode(files.get("labels.json"))) as { labels: string[] };
  const scores = Array.from(logits?.data as Float32Array);
  return labels[scores.indexOf(Math.max(...scores))];
}

const weightsOf = (model: Uint8Array): Map<string, Uint8Array> => new Map([...importGraph(readModel(model)).graph.initializers].map(([name, { tensor }]) => [name, tensor.data]));
const fileWeights = weightsOf(readFileSync(join(encoder, "model.onnx")));

describe("fine-tuning a text classifier", () => {
  it("learns intents over a registered encoder, and the packed files serve sentences", async () => {
    const { files, evaluation } = await trainTask(intentsJob());

    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
    assert.deepEqual([...files.keys()].sort(), ["labels.json", "model.onnx", "servable.yaml", "tokenizer.json"]);
    assert.equal(await classify(files, "Please, I want my money back!"), "refund");
    assert.equal(await classify(files, "hello where is my lost card"), "lost card");
  });

  it("leaves frozen weights as they were", async () => {
    const { files } = await trainTask(intentsJob({ epochCount: 1, frozenParameters: ["embeddings.*"] }));

    const trained = weightsOf(files.get("model.onnx") as Uint8Array);
    const changed = [...fileWeights].filter(([name, data]) => trained.has(name) && Buffer.compare(data, trained.get(name) as Uint8Array) !== 0).map(([name]) => name);
    assert.ok(changed.includes("encoder.layer.0.intermediate.dense.weight"));
    assert.deepEqual(changed.filter((name) => name.startsWith("embeddings.")), []);
  });

  it("trains low-rank adapters alone and merges them into the weights", async () => {
    const { files, evaluation, task } = await trainTask(intentsJob({ epochCount: 15, lowRankAdaptation: { rank: 4, alpha: 8, targets: [] } }));

    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
    assert.equal(await classify(files, "I want my money back"), "refund");
    const names = [...weightsOf(files.get("model.onnx") as Uint8Array).keys()];
    assert.deepEqual(names.filter((name) => name.includes("lora")), []);
    assert.ok(task.trainingRows.length > 0);
  });

  it("takes conversations as OpenAI's files have them", async () => {
    const path = join(directory.path, "chat.jsonl");
    const line = (text: string, label: string): string => JSON.stringify({ messages: [{ role: "system", content: "Name the intent." }, { role: "user", content: text }, { role: "assistant", content: label }] });
    writeFileSync(path, Array.from({ length: 6 }, () => [...REFUND.map((text) => line(text, "refund")), ...LOST.map((text) => line(text, "lost"))]).flat().join("\n"));

    const { evaluation } = await trainTask({ files: [{ role: "data", path }], format: "chat", columns: [], missingValues: [], spec: { ...spec, targetColumn: "" }, outputDir: directory.path, baseModel: base(encoder) });

    assert.deepEqual(evaluation.classes, ["lost", "refund"]);
    assert.equal(evaluation.metrics["accuracy"]?.value, 1);
  });

  it("refuses a pattern that fits no weight, an encoder without a tokenizer, and none at all", async () => {
    const { baseModel: _, ...without } = intentsJob();
    const bare = join(directory.path, "bare");
    writeTinyEncoder(bare);
    writeFileSync(join(bare, "tokenizer.json"), "{}");

    await assert.rejects(readTask(intentsJob({ frozenParameters: ["nothing.*"] })), { reason: "FIELD_INVALID", message: /frozen_parameters.*nothing/ });
    await assert.rejects(readTask(intentsJob({}, bare)), { reason: "TOKENIZER_INVALID" });
    await assert.rejects(readTask(without), { reason: "FIELD_REQUIRED", message: /base_model is required/ });
  });

  it("refuses an operator that cannot be trained, naming it and its node", async () => {
    const folder = join(directory.path, "odd");
    writeTinyEncoder(folder);
    const graph = new Graph();
    const ids = graph.input("input_ids", "INT64", ["batch", "sequence"]);
    const table = graph.weight("table", { datatype: "FP32", shape: [20, 4], data: new Uint8Array(320) });
    const rows = graph.node("Gather", [table, ids], { datatype: "FP32", shape: ["batch", "sequence", 4] }, { axis: 0 });
    const odd = graph.node("Wobble", [rows], { datatype: "FP32", shape: ["batch", "sequence", 4], name: "wobbled" });
    writeFileSync(join(folder, "model.onnx"), buildModel({ graph, outputs: { y: odd } }));

    await assert.rejects(readTask(intentsJob({}, folder)), { reason: "MODEL_REFUSED", message: /Wobble.*wobbled|wobbled.*Wobble/ });
  });

  it("fine-tunes a real encoder on a part of Banking77", { skip: skipWithout("assets/bert-mini-intents/model.onnx", "assets/datasets/text/banking77-train.csv") }, async () => {
    const lines = readFileSync(sharedAsset("assets/datasets/text/banking77-train.csv") ?? "", "utf8").split("\n").filter((text) => /,(exchange_rate|lost_or_stolen_card)\r?$/.test(text));
    const path = join(directory.path, "banking.csv");
    writeFileSync(path, `text,category\n${lines.join("\n")}\n`);
    const folder = sharedAsset("assets/bert-mini-intents") ?? "";

    const { evaluation, files } = await trainTask({ files: [{ role: "data", path }], format: "csv", columns: [{ name: "text", kind: "text" }, { name: "category", kind: "categorical" }], missingValues: [], spec: { ...spec, targetColumn: "category", learningRate: 5e-4, batchSize: 32, epochCount: 1 }, outputDir: directory.path, baseModel: base(folder) });

    assert.ok((evaluation.metrics["accuracy"]?.value ?? 0) > 0.9, JSON.stringify(evaluation.metrics["accuracy"]));
    assert.equal(await classify(files, "my card was stolen yesterday"), "lost_or_stolen_card");
  });
});

describe("learning to write", () => {
  const story = Array.from({ length: 60 }, (_, index) => `${index % 2 === 0 ? "The cat sat on the mat." : "The dog ran in the sun."}`).join("\n");
  const textJob = (change: Partial<TrainingSpecRecord> = {}, text = story): AttemptInput => {
    const path = join(directory.path, "story.txt");
    writeFileSync(path, text);
    return { files: [{ role: "data", path }], format: "text", columns: [], missingValues: [], spec: { ...SPEC_DEFAULTS, family: "causal_lm", learningRate: 0.003, epochCount: 12, batchSize: 8, maxSequenceLength: 32, architecture: { layerCount: 1, headCount: 2, width: 32, feedForwardWidth: 0 }, ...change }, outputDir: directory.path };
  };

  it("learns a text by its bytes, and the packed model goes on as the text does", async () => {
    const { evaluation, files } = await trainTask(textJob());

    assert.ok((evaluation.metrics["perplexity"]?.value ?? Infinity) < 4, JSON.stringify(evaluation.metrics));
    const session = await ort.InferenceSession.create(files.get("model.onnx") as Uint8Array, { logSeverityLevel: 3 });
    const tokenizer = createTokenizer(new TextDecoder().decode(files.get("tokenizer.json")));
    const { inputIds, width } = tokenizer.encode(["The cat sat on the m"]);
    const { logits } = await session.run({ input_ids: new ort.Tensor("int64", inputIds, [1, width]) });
    const last = Array.from((logits?.data as Float32Array).subarray(-257));
    assert.equal(tokenizer.decode([last.indexOf(Math.max(...last))]), "a");
    assert.deepEqual(JSON.parse(new TextDecoder().decode(files.get("config.json"))), { model_type: "servable-gpt", n_layer: 1, n_head: 2, n_embd: 32, n_inner: 128, n_positions: 32, tie_word_embeddings: true, vocab_size: 257, eos_token_id: 256 });
  });

  it("trains a packed model further", async () => {
    const first = await trainTask(textJob({ epochCount: 6 }));
    const folder = join(directory.path, "gpt");
    writeTinyEncoder(folder);
    for (const [name, bytes] of first.files) writeFileSync(join(folder, name), bytes);

    const second = await trainTask({ ...textJob({ epochCount: 4 }), baseModel: base(folder) });

    assert.ok(second.evaluation.loss < first.evaluation.loss, `${second.evaluation.loss} after ${first.evaluation.loss}`);
  });

  it("moves the windows of each epoch, the same for the same seed", async () => {
    const task = await readTask(textJob());
    const idsAt = (epoch: number): string => String(task.feeds(task.trainingRows.subarray(1, 2), { epoch, step: 0 })["input_ids"]?.data);

    assert.equal(idsAt(1), idsAt(1));
    assert.notEqual(idsAt(1), idsAt(2));
    assert.equal(String(task.feeds(task.trainingRows.subarray(0, 1))["input_ids"]?.data), Array.from(byteTokens(story).subarray(0, 32)).join());
  });

  it("refuses a text shorter than a window", async () => {
    await assert.rejects(readTask(textJob({}, "too short")), { reason: "FIELD_INVALID", message: /max_sequence_length is 32, and the training part of the text has fewer tokens/ });
  });

  it("asks for the assistant's turns alone", () => {
    const source = { encode: byteTokens, endId: 256 };
    const { ids, labels } = chatTokens({ messages: [{ role: "user", content: "hi" }, { role: "assistant", content: "yo" }] }, source, 64);
    const asked = Array.from(labels).filter((label) => label !== NOT_ASKED);

    assert.equal(new TextDecoder().decode(Uint8Array.from(ids)), "User: hi\nAssistant: yo\n");
    assert.deepEqual(asked, [...byteTokens("yo\n"), 256]);
  });

  it("has a tokenizer.json that gives the bytes of any text", () => {
    const tokenizer = createTokenizer(byteTokenizerJson());
    for (const text of ["plain text", "naïve café 😀\n\ttab", "数据 ÿ\u0000"]) {
      const ids = tokenizer.encode([text], { specialTokens: false }).texts[0]?.ids ?? [];
      assert.deepEqual(ids, [...byteTokens(text)]);
      assert.equal(tokenizer.decode(ids), text);
    }
  });
});
