import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { filesOf, readTaskManifest } from "../src/index.ts";

const IMAGE = "task: image-classification\nimage: {width: 224, height: 224, mean: 128, std: 128}\nclassification: {labels: labels.txt}";

describe("task manifests", () => {
  it("say how a picture becomes labels, with defaults for what they leave out", () => {
    const { tasks, image, classification } = readTaskManifest(IMAGE);

    assert.deepEqual(tasks, ["image-classification"]);
    assert.deepEqual(image, { input: undefined, width: 224, height: 224, fit: "crop", shortSide: undefined, fill: 0, resample: "bilinear", colors: undefined, layout: undefined, scale: 1, mean: [128], std: [128], background: undefined });
    assert.deepEqual(classification, { output: undefined, scores: "logits", labels: { kind: "file", file: "labels.txt", key: undefined }, topK: 5 });
  });

  it("may declare two tasks of one model", () => {
    const manifest = readTaskManifest("task: [text-classification, text-embedding]\ntokenizer: {max_tokens: 128}\nclassification: {output: logits, labels: {file: labels.json, key: labels_banking77}}\nembedding: {output: sentence_embedding}");

    assert.deepEqual(manifest.embedding, { output: "sentence_embedding", pooling: undefined, normalize: true });
    assert.deepEqual(filesOf(manifest), ["tokenizer.json", "labels.json"]);
  });

  it("need nothing but the task where a model is as usual", () => {
    assert.equal(readTaskManifest("task: speech-detection").speech?.windowSamples, 512);
  });

  it("name other deployments where a task takes several models", () => {
    const { page } = readTaskManifest("servable: 1\ntask: text-recognition\npage: {recognizer: lines, orientation: {model: upright}}");

    assert.equal(page?.recognizer, "lines");
    assert.deepEqual(page.orientation, { model: "upright", height: 48, width: 192, threshold: 0.9 });
  });

  it("take labels that YAML reads as numbers or truths", () => {
    assert.deepEqual(readTaskManifest("task: text-classification\ntokenizer: {}\nclassification: {labels: [0, yes, true]}").classification?.labels, { kind: "list", names: ["0", "yes", "true"] });
  });

  const wrong: { what: string; text: string; field: string; message: RegExp }[] = [
    { what: "no YAML", text: "task: [", field: "servable.yaml", message: /no valid YAML/ },
    { what: "no fields", text: "hello", field: "servable.yaml", message: /fields with values/ },
    { what: "aliases, which can make a small file large", text: "a: &a [x]\ntask: *a", field: "servable.yaml", message: /alias/i },
    { what: "no task", text: "image: {}", field: "task", message: /is missing/ },
    { what: "an unknown task", text: "task: levitation", field: "task", message: /image-classification, text-classification/ },
    { what: "a misspelt field", text: IMAGE.replace("width", "widht"), field: "image.widht", message: /is no field here; there are .*width/ },
    { what: "a misspelt section", text: `${IMAGE}\nimages: {}`, field: "images", message: /is no field here/ },
    { what: "a section of another task", text: `${IMAGE}\ntokenizer: {}`, field: "tokenizer", message: /belongs to no task/ },
    { what: "a text for a number", text: IMAGE.replace("width: 224", "width: wide"), field: "image.width", message: /number from 1 to 8192/ },
    { what: "a fraction of pixels", text: IMAGE.replace("width: 224", "width: 22.4"), field: "image.width", message: /whole number/ },
    { what: "a division by zero", text: IMAGE.replace("std: 128", "std: [1, 0, 1]"), field: "image.std", message: /must not be 0/ },
    { what: "two means for three channels", text: IMAGE.replace("mean: 128", "mean: [1, 2]"), field: "image.mean", message: /one number or 3/ },
    { what: "no labels", text: "task: image-classification\nclassification: {top_k: 3}", field: "classification.labels", message: /is missing/ },
    { what: "labels in another folder", text: IMAGE.replace("labels.txt", "../../etc/passwd"), field: "classification.labels", message: /beside servable.yaml/ },
    { what: "no tokenizer", text: "task: text-embedding", field: "tokenizer", message: /is missing/ },
    { what: "neither line nor page", text: "task: text-recognition", field: "task", message: /line .* or .*page/ },
    { what: "a page without a recogniser", text: "task: text-recognition\npage: {}", field: "page.recognizer", message: /is missing/ },
    { what: "another version of the format", text: `servable: 2\n${IMAGE}`, field: "servable", message: /must be 1/ },
  ];
  for (const { what, text, field, message } of wrong) {
    it(`with ${what} are refused, and the field is named`, () => {
      assert.throws(() => readTaskManifest(text), (error: unknown) => error instanceof StatusError && error.reason === "TASK_MANIFEST_INVALID" && error.metadata["field"] === field && message.test(error.message) && error.message.includes(field));
    });
  }
});
