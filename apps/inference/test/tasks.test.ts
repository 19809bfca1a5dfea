import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { createImageDecoder } from "@servable/images";
import { sharedAsset, skipWithout } from "@servable/testing";
import { createTasks, type Tasks } from "../src/domain/tasks/tasks.ts";
import type { TaskModel } from "../src/domain/tasks/task-model.ts";
import { CONTEXT, exampleManifest, startTaskModel, stopEngines } from "./support/task-models.ts";

const [PICTURES, BERT, OCR, VAD] = ["assets/imagenet-mobilenetv2", "assets/bert-mini-intents", "assets/ocr", "assets/speech-vad"];
const asset = (path: string): string => sharedAsset(path) ?? "";
const fixture = (name: string): Buffer => readFileSync(new URL(`./support/${name}`, import.meta.url));
const because = (reason: Reason, pattern: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === reason && pattern.test(error.message);

const images = createImageDecoder();
const helpers = new Map<string, TaskModel>();
const tasks: Tasks = createTasks({
  images,
  resolve: (_project, name) => {
    const found = helpers.get(name);
    if (found === undefined) throw new StatusError("MODEL_NOT_FOUND", `Request for unknown model: '${name}' is not found`);
    return found;
  },
});
after(() => Promise.all([images[Symbol.asyncDispose](), stopEngines()]));
const start = (name: string, path: string, files: Record<string, string>): Promise<TaskModel> => startTaskModel(name, asset(path), files);

describe("pictures", { skip: skipWithout(`${PICTURES}/expected.json`), timeout: 60_000 }, () => {
  const expected = (): Record<string, string> => (JSON.parse(readFileSync(asset(`${PICTURES}/expected.json`), "utf8")) as { expected_top1: Record<string, string> }).expected_top1;
  for (const file of ["mobilenet_v2_1.0_224_fp32.onnx", "mobilenet_v2_1.0_224_qdq_uint8.onnx"]) {
    it(`are named as recorded by ${file}`, async () => {
      const model = await start("mobilenet", `${PICTURES}/${file}`, { "servable.yaml": exampleManifest("mobilenet"), "imagenet_labels.txt": asset(`${PICTURES}/imagenet_labels.txt`) });

      for (const picture of readdirSync(asset(`${PICTURES}/pictures`))) {
        const labels = await tasks.classifyImage(model, readFileSync(asset(`${PICTURES}/pictures/${picture}`)), 0, CONTEXT);
        const names = labels.map(({ label }) => label.split(",")[0]);
        // The record says so: daisy.jpg is among the first five only.
        assert.ok(picture === "daisy.jpg" ? names.includes("daisy") : names[0] === expected()[picture], `${picture}: ${names.join(", ")}`);
        assert.equal(labels.length, 5);
      }
    });
  }

  it("need as many labels as the model has classes", async () => {
    const model = await start("short", `${PICTURES}/mobilenet_v2_1.0_224_qdq_uint8.onnx`, { "servable.yaml": exampleManifest("mobilenet").replace("imagenet_labels.txt\n", "[cat, dog]\n") });

    await assert.rejects(tasks.classifyImage(model, readFileSync(asset(`${PICTURES}/pictures/dog.jpg`)), 0, CONTEXT), because("TASK_MANIFEST_INVALID", /classification.labels has 2 labels, but the model gives 1001/));
  });
});

describe("small pictures", { skip: skipWithout("assets/resnet-cifar10/resnet20.onnx"), timeout: 60_000 }, () => {
  const path = "assets/resnet-cifar10/resnet20.onnx";
  it("get the size, colours and labels of the manifest and the graph", async () => {
    const model = await start("cifar", path, { "servable.yaml": exampleManifest("cifar10") });
    const labels = await tasks.classifyImage(model, fixture("page.png"), 10, CONTEXT);

    assert.equal(labels.length, 10);
    assert.ok(Math.abs(labels.reduce((sum, { probability }) => sum + probability, 0) - 1) < 1e-5); // f32 softmax of ten
    assert.ok(labels.every(({ probability }, index) => index === 0 || probability <= (labels[index - 1]?.probability ?? 0)));
  });

  const wrong = [
    { what: "a size that the graph does not take", manifest: exampleManifest("cifar10").replace("image:", "image:\n  width: 64"), want: because("TASK_MANIFEST_INVALID", /image.width is 64, not 32/) },
    { what: "an output that the graph lacks", manifest: exampleManifest("cifar10").replace("scores: logits", "output: scores"), want: because("TASK_MANIFEST_INVALID", /classification.output is "scores": the outputs of 'model' are logits/) },
    { what: "no manifest", manifest: undefined, want: because("TASK_NOT_DECLARED", /has no servable.yaml/) },
    { what: "the manifest of another task", manifest: exampleManifest("speech"), want: because("TASK_NOT_DECLARED", /declares speech-detection/) },
    { what: "a file that was not imported", manifest: exampleManifest("cifar10").replace(/labels: .*/, "labels: names.txt"), want: because("TASK_MANIFEST_INVALID", /classification.labels is "names.txt", but .* has no such file/) },
  ];
  for (const { what, manifest, want } of wrong) {
    it(`are refused with ${what}`, async () => {
      const model = await start("model", path, manifest === undefined ? {} : { "servable.yaml": manifest });

      await assert.rejects(tasks.classifyImage(model, fixture("page.png"), 0, CONTEXT), want);
    });
  }

  it("must be pictures, and as many labels must be asked for as may be", async () => {
    const model = await start("model", path, { "servable.yaml": exampleManifest("cifar10") });

    await assert.rejects(tasks.classifyImage(model, Buffer.from("no picture"), 0, CONTEXT), because("IMAGE_INVALID", /no format that is read/));
    await assert.rejects(tasks.classifyImage(model, fixture("page.png"), -1, CONTEXT), because("FIELD_INVALID", /top_k/));
  });
});

interface Golden {
  readonly task: "banking77" | "clinc150";
  readonly text: string;
  readonly label: string;
  readonly p: number;
  readonly embedding_head: readonly number[];
}

describe("sentences", { skip: skipWithout(`${BERT}/expected.json`), timeout: 60_000 }, () => {
  const goldens = (): Golden[] => JSON.parse(readFileSync(asset(`${BERT}/expected.json`), "utf8")) as Golden[];
  const files = (task: string): Record<string, string> => ({ "servable.yaml": exampleManifest("intents").replace("labels_banking77", `labels_${task}`), "tokenizer.json": asset(`${BERT}/tokenizer.json`), "labels.json": asset(`${BERT}/labels.json`) });
  const near = (a: number, b: number): void => assert.ok(Math.abs(a - b) < 1e-3, `${a} is not near ${b}`); // goldens have four or five digits

  for (const task of ["banking77", "clinc150"] as const) {
    it(`get the recorded labels, probabilities and vectors of ${task}, alone and together`, async () => {
      const model = await start(task, `${BERT}/classifier-${task}.onnx`, files(task));
      const wanted = goldens().filter((golden) => golden.task === task);
      const texts = wanted.map(({ text }) => text);
      const together = await tasks.classifyText(model, texts, 1, CONTEXT);
      const vectors = await tasks.embedText(model, { texts, tokenIds: [], dimensionCount: 0 }, CONTEXT);

      for (const [index, { text, label, p, embedding_head }] of wanted.entries()) {
        for (const result of [together[index], (await tasks.classifyText(model, [text], 1, CONTEXT))[0]]) {
          assert.equal(result?.labels[0]?.label, label);
          near(result.labels[0].probability, p);
        }
        embedding_head.forEach((value, at) => near(vectors[index]?.values[at] ?? NaN, value));
        near(Math.hypot(...(vectors[index]?.values ?? [])), 1);
      }
    });
  }

  it("may be empty, endless, of emoji or of no language", async () => {
    const model = await start("odd", `${BERT}/classifier-banking77.onnx`, files("banking77"));
    const results = await tasks.classifyText(model, ["", "   ", "😀👍🏽", "ÿ\u0000\u200b", "word ".repeat(100_000), "\ud800", "如何激活我的卡"], 0, CONTEXT);

    assert.deepEqual(results.map(({ truncated }) => truncated), [false, false, false, false, true, false, false]);
    assert.deepEqual([results[0]?.tokenCount, results[4]?.tokenCount, results[0]?.labels.length], [2, 128, 3]);
  });

  it("come back in their order, however many they are", async () => {
    const model = await start("many", `${BERT}/classifier-banking77.onnx`, files("banking77"));
    const texts = Array.from({ length: 75 }, (_, index) => `${"please ".repeat((index * 7) % 20)}${["my card has not arrived yet", "I forgot my passcode", "what is the exchange rate"][index % 3]}`);
    const together = await tasks.embedText(model, { texts, tokenIds: [], dimensionCount: 0 }, CONTEXT);

    for (const index of [0, 13, 74]) {
      const [alone] = await tasks.embedText(model, { texts: [texts[index] ?? ""], tokenIds: [], dimensionCount: 0 }, CONTEXT);
      alone?.values.forEach((value, at) => near(together[index]?.values[at] ?? NaN, value));
    }
  });

  it("become vectors out of token states, by their mean over true tokens", async () => {
    const pooled = await start("pooled", `${BERT}/model.onnx`, { "servable.yaml": exampleManifest("embeddings"), "tokenizer.json": asset(`${BERT}/tokenizer.json`) });
    const [golden] = goldens();
    const [vector] = await tasks.embedText(pooled, { texts: [golden?.text ?? "", "a longer text beside it, so that there is padding"], tokenIds: [], dimensionCount: 0 }, CONTEXT);

    golden?.embedding_head.forEach((value, at) => near(vector?.values[at] ?? NaN, value));
  });

  it("may come as tokens, and vectors may be shortened", async () => {
    const model = await start("tokens", `${BERT}/classifier-banking77.onnx`, files("banking77"));
    const [golden] = JSON.parse(readFileSync(asset(`${BERT}/expected.json`), "utf8")) as (Golden & { ids: number[] })[];
    const [whole] = await tasks.embedText(model, { texts: [], tokenIds: [golden?.ids.map(BigInt) ?? []], dimensionCount: 0 }, CONTEXT);
    const [short] = await tasks.embedText(model, { texts: [golden?.text ?? ""], tokenIds: [], dimensionCount: 2 }, CONTEXT);

    golden?.embedding_head.forEach((value, at) => near(whole?.values[at] ?? NaN, value));
    near((short?.values[0] ?? NaN) / (short?.values[1] ?? NaN), (whole?.values[0] ?? NaN) / (whole?.values[1] ?? NaN));
    near(Math.hypot(...(short?.values ?? [])), 1);
  });

  const wrong: { what: string; ask: (model: TaskModel) => Promise<unknown>; want: (error: unknown) => boolean }[] = [
    { what: "none", ask: (model) => tasks.classifyText(model, [], 0, CONTEXT), want: because("FIELD_REQUIRED", /texts is empty/) },
    { what: "too many", ask: (model) => tasks.classifyText(model, Array<string>(2_049).fill("a"), 0, CONTEXT), want: because("FIELD_INVALID", /2049 texts, at most 2048/) },
    { what: "one beyond all bounds", ask: (model) => tasks.classifyText(model, ["a", "b".repeat(1_000_001)], 0, CONTEXT), want: because("FIELD_INVALID", /texts\[1\].*1000001 characters/) },
    { what: "texts and tokens", ask: (model) => tasks.embedText(model, { texts: ["a"], tokenIds: [[1n]], dimensionCount: 0 }, CONTEXT), want: because("FIELD_INVALID", /exclude each other/) },
    { what: "a token that is none", ask: (model) => tasks.embedText(model, { texts: [], tokenIds: [[2n, 4_096n]], dimensionCount: 0 }, CONTEXT), want: because("FIELD_INVALID", /token_ids\[0\] holds 4096/) },
    { what: "no tokens", ask: (model) => tasks.embedText(model, { texts: [], tokenIds: [[]], dimensionCount: 0 }, CONTEXT), want: because("FIELD_INVALID", /token_ids\[0\] is empty/) },
    { what: "more tokens than the model reads", ask: (model) => tasks.embedText(model, { texts: [], tokenIds: [Array<bigint>(129).fill(5n)], dimensionCount: 0 }, CONTEXT), want: because("FIELD_INVALID", /129 tokens, the model reads at most 128/) },
    { what: "more dimensions than there are", ask: (model) => tasks.embedText(model, { texts: ["a"], tokenIds: [], dimensionCount: 129 }, CONTEXT), want: because("FIELD_INVALID", /the model gives 128/) },
  ];
  for (const { what, ask, want } of wrong) {
    it(`are refused when there are ${what}`, async () => {
      const model = await start("strict", `${BERT}/classifier-banking77.onnx`, files("banking77"));

      await assert.rejects(ask(model), want);
    });
  }
});

describe("recordings", { skip: skipWithout(`${VAD}/silero_vad.onnx`, `${VAD}/test.wav`), timeout: 120_000 }, () => {
  let vad: TaskModel;
  before(async () => (vad = await start("vad", `${VAD}/silero_vad.onnx`, { "servable.yaml": exampleManifest("speech") })));
  /** The recording from a second on, as frames of another file. */
  const part = (seconds: number, write: (file: Buffer) => Buffer): Buffer => write(readFileSync(asset(`${VAD}/test.wav`)).subarray(44, 44 + seconds * 32_000));
  const wav = (samples: Buffer, { channels = 1, rate = 16_000 } = {}): Buffer => {
    const head = Buffer.from("RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0data\0\0\0\0", "latin1");
    head.writeUInt16LE(channels, 22);
    head.writeUInt32LE(rate, 24);
    head.writeUInt16LE(channels * 2, 32);
    head.writeUInt32LE(samples.length, 40);
    return Buffer.concat([head, samples]);
  };

  it("are heard as silero's own code hears them", async () => {
    const { segments, audioMs } = await tasks.detectSpeech(vad, readFileSync(asset(`${VAD}/test.wav`)), undefined, CONTEXT);

    assert.equal(audioMs, 60_000);
    // get_speech_timestamps of snakers4/silero-vad on the same file with the same model.
    assert.deepEqual(segments.map(({ startMs, endMs }) => [startMs, endMs]), [[2, 2046], [2658, 4702], [4962, 6878], [9314, 13342], [13538, 15102], [15330, 15870], [16290, 17918], [18370, 19614], [20322, 32606], [32706, 35614], [35746, 37630], [37954, 38942], [39874, 43294], [43618, 44638], [45026, 46814], [48834, 49982], [51074, 54238], [54466, 57406], [57506, 59582]]);
    assert.ok(segments.every(({ probability }) => probability > 0.5));
  });

  it("are heard alike in stereo and at half the rate", async () => {
    const want = (await tasks.detectSpeech(vad, part(7, (samples) => wav(samples)), undefined, CONTEXT)).segments;
    const stereo = part(7, (samples) => wav(Buffer.concat(Array.from({ length: samples.length / 2 }, (_, index) => [samples.subarray(index * 2, index * 2 + 2), samples.subarray(index * 2, index * 2 + 2)]).flat()), { channels: 2 }));
    const slow = part(7, (samples) => wav(Buffer.concat(Array.from({ length: samples.length / 4 }, (_, index) => samples.subarray(index * 4, index * 4 + 2))), { rate: 8_000 }));

    assert.deepEqual((await tasks.detectSpeech(vad, stereo, undefined, CONTEXT)).segments, want);
    const heard = (await tasks.detectSpeech(vad, slow, undefined, CONTEXT)).segments;
    // Half of the sound is gone, so edges may move by some windows of 32 ms.
    const total = (segments: typeof want): number => segments.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
    assert.ok(Math.abs(total(heard) - total(want)) < 800, `${total(heard)} ms, not ${total(want)} ms`);
  });

  it("hold no speech where there is silence, or nothing", async () => {
    assert.deepEqual((await tasks.detectSpeech(vad, wav(Buffer.alloc(64_000)), undefined, CONTEXT)).segments, []);
    assert.deepEqual(await tasks.detectSpeech(vad, wav(Buffer.alloc(0)), undefined, CONTEXT), { segments: [], audioMs: 0 });
  });

  it("are refused when they are no WAV file, or the threshold is none", async () => {
    await assert.rejects(tasks.detectSpeech(vad, Buffer.from("OggS"), undefined, CONTEXT), because("AUDIO_INVALID", /no WAV file/));
    await assert.rejects(tasks.detectSpeech(vad, wav(Buffer.alloc(2)), 1.5, CONTEXT), because("FIELD_INVALID", /threshold/));
  });

  it("stop to be heard when the caller goes away", async () => {
    const gone = AbortSignal.abort();

    await assert.rejects(tasks.detectSpeech(vad, wav(Buffer.alloc(64_000)), undefined, { ...CONTEXT, signal: gone }), { name: "AbortError" });
  });
});

describe("text in pictures", { skip: skipWithout(`${OCR}/ch_PP-OCRv4_det_infer.onnx`, `${OCR}/ch_PP-OCRv4_rec_infer.onnx`, `${OCR}/ch_ppocr_mobile_v2.0_cls_infer.onnx`), timeout: 120_000 }, () => {
  let page: TaskModel;
  let lines: TaskModel;
  before(async () => {
    page = await start("ocr-page", `${OCR}/ch_PP-OCRv4_det_infer.onnx`, { "servable.yaml": exampleManifest("ocr-page") });
    lines = await start("ocr-lines", `${OCR}/ch_PP-OCRv4_rec_infer.onnx`, { "servable.yaml": exampleManifest("ocr-lines"), "ppocr_keys_v1.txt": asset(`${OCR}/ppocr_keys_v1.txt`) });
    helpers.set("ocr-lines", lines);
    helpers.set("ocr-upright", await start("ocr-upright", `${OCR}/ch_ppocr_mobile_v2.0_cls_infer.onnx`, {}));
  });
  /** The recogniser is unsure of narrow spaces. */
  const dense = (read: readonly { text: string }[]): string[] => read.map(({ text }) => text.replaceAll(" ", ""));
  const WANT = ["InvoiceNo.48213", "total$1,250.00", "paid", "Thankyouforyourorder!"];

  it("is read line by line, from the top, with its places", async () => {
    const read = await tasks.readText(page, fixture("page.png"), CONTEXT);

    assert.deepEqual(dense(read), WANT);
    assert.ok(read.every(({ probability }) => probability > 0.8));
    // The second line was drawn from (30, 70) on.
    const [corner] = read[1]?.corners ?? [];
    assert.ok(Math.abs((corner?.x ?? 0) - 30) < 8 && Math.abs((corner?.y ?? 0) - 72) < 8);
  });

  it("is read when the page lies upside down", async () => {
    const { default: sharp } = await import("sharp");

    assert.deepEqual(dense(await tasks.readText(page, await sharp(fixture("page.png")).rotate(180).png().toBuffer(), CONTEXT)), WANT);
  });

  it("of one line is read by the recogniser alone", async () => {
    assert.deepEqual(dense(await tasks.readText(lines, fixture("line.png"), CONTEXT)), ["InvoiceNo.48213total$1,250.00"]);
  });

  it("is not found where there is none", async () => {
    const { default: sharp } = await import("sharp");
    const blank = await sharp({ create: { width: 200, height: 100, channels: 3, background: "white" } }).png().toBuffer();

    assert.deepEqual(await tasks.readText(page, blank, CONTEXT), []);
  });

  it("needs the other models of its manifest", async () => {
    const lonely = await start("lonely", `${OCR}/ch_PP-OCRv4_det_infer.onnx`, { "servable.yaml": "task: text-recognition\npage: {recognizer: nobody}" });

    await assert.rejects(tasks.readText(lonely, fixture("page.png"), CONTEXT), because("MODEL_NOT_FOUND", /needs the model 'nobody' \(servable.yaml: page.recognizer\)/));
  });
});
