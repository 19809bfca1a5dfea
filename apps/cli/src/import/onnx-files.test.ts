import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { onnxFiles } from "./onnx-files.ts";

const MANIFEST = "task: image-classification\nclassification: {labels: labels.txt}";
const because = (reason: Reason, pattern: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === reason && pattern.test(error.message);

describe("files of an imported model", () => {
  /** A folder with files; values are contents. */
  const inFolder = (files: Readonly<Record<string, string>>, work: (at: (path: string) => string) => void): void => {
    using folder = tempDir();
    const at = (path: string): string => join(folder.path, path);
    mkdirSync(at("other"));
    for (const [path, content] of Object.entries({ "net.onnx": "", ...files })) writeFileSync(at(path), content);
    work(at);
  };

  it("are the model alone where nothing lies beside it", () => {
    inFolder({ "labels.txt": "" }, (at) => assert.deepEqual(onnxFiles(at("net.onnx")), [{ path: "model.onnx", file: at("net.onnx") }]));
  });

  it("are the manifest beside it and what that names", () => {
    inFolder({ "servable.yaml": MANIFEST, "labels.txt": "" }, (at) => {
      assert.deepEqual(onnxFiles(at("net.onnx")).map(({ path, file }) => [path, file]), [["model.onnx", at("net.onnx")], ["servable.yaml", at("servable.yaml")], ["labels.txt", at("labels.txt")]]);
    });
  });

  it("may lie elsewhere, and a manifest beside the model may be left out", () => {
    inFolder({ "servable.yaml": "task: nonsense", "other/cats.yaml": MANIFEST, "labels.txt": "beside the model", "other/words.json": "" }, (at) => {
      assert.deepEqual(onnxFiles(at("net.onnx"), { manifest: at("other/cats.yaml"), others: [at("other/words.json")] }).map(({ path, file }) => [path, file]), [
        ["model.onnx", at("net.onnx")],
        ["words.json", at("other/words.json")],
        ["servable.yaml", at("other/cats.yaml")],
        ["labels.txt", at("labels.txt")],
      ]);
      assert.equal(onnxFiles(at("net.onnx"), { manifest: false }).length, 1);
    });
  });

  it("must be there and be well", () => {
    inFolder({ "servable.yaml": MANIFEST, "other/bad.yaml": "task: levitation" }, (at) => {
      assert.throws(() => onnxFiles(at("net.onnx")), because("FIELD_INVALID", /there is no file .*labels.txt, which .*servable.yaml names/));
      assert.throws(() => onnxFiles(at("net.onnx"), { manifest: at("nowhere.yaml") }), because("FIELD_INVALID", /there is no file .*nowhere.yaml, which --manifest names/));
      assert.throws(() => onnxFiles(at("net.onnx"), { manifest: at("other/bad.yaml") }), because("TASK_MANIFEST_INVALID", /task must be one of/));
    });
  });
});
