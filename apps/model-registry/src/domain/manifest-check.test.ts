import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { checkManifest, withTaskModels } from "./manifest-check.ts";
import { pipelineStepsOf } from "./pipeline-steps.ts";

const MANIFEST = "task: image-classification\nclassification: {labels: labels.txt}";
const check = (files: Readonly<Record<string, string>>): Promise<readonly string[]> =>
  checkManifest(
    Object.entries(files).map(([path, text]) => ({ path, sha256: path, sizeBytes: text.length })),
    {
      async *read(path) {
        yield Buffer.from(files[path] ?? "");
      },
    },
  );

describe("a version's task manifest", () => {
  it("may be absent, and is well when its fields and files are", async () => {
    await check({ "model.onnx": "" });
    await check({ "model.onnx": "", "servable.yaml": MANIFEST, "labels.txt": "" });
  });

  it("names models that must be where it is", async () => {
    const models = await check({ "servable.yaml": "task: text-recognition\npage: {recognizer: lines, orientation: {model: upright}}" });

    assert.deepEqual(models, ["lines", "upright"]);
    const settings = withTaskModels('{"max_batch_size": 4, "parameters": {"a": {"string_value": "b"}}}', models);
    assert.deepEqual(JSON.parse(settings), { max_batch_size: 4, parameters: { a: { string_value: "b" }, "servable.task_models": { string_value: "lines,upright" } } });
    assert.deepEqual(pipelineStepsOf({ servingConfigJson: settings }, { servingConfigJson: "" }), ["lines", "upright"]);
    assert.equal(withTaskModels("", []), "");
  });

  const wrong = [
    { what: "a misspelt field", files: { "servable.yaml": MANIFEST.replace("labels:", "lables:"), "labels.txt": "" }, message: /classification.labels is missing/ },
    { what: "a file that was not uploaded", files: { "servable.yaml": MANIFEST }, message: /names the file "labels.txt", which the version lacks/ },
    { what: "a size that no hand writes", files: { "servable.yaml": " ".repeat(1024 * 1024 + 1) }, message: /1048577 bytes/ },
  ];
  for (const { what, files, message } of wrong) {
    it(`is refused with ${what}`, async () => {
      await assert.rejects(check(files), (error: unknown) => error instanceof StatusError && error.reason === "TASK_MANIFEST_INVALID" && message.test(error.message));
    });
  }
});
