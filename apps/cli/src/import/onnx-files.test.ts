import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import { StatusError } from "@servable/errors";
import { Graph, ModelProtoSchema, add, buildModel, largeInitializers, moveToFile, readModel } from "@servable/onnx";
import { addSubModel, tempDir } from "@servable/testing";
import { onnxFiles } from "./onnx-files.ts";

function folderOf(files: Record<string, string | Uint8Array>) {
  const directory = tempDir();
  for (const [path, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(directory.path, path)), { recursive: true });
    writeFileSync(join(directory.path, path), bytes);
  }
  return directory;
}

/** A model whose weight is in another file. */
function pointingAt(location: string): Uint8Array {
  const graph = new Graph();
  const model = readModel(buildModel({ graph, outputs: { y: add(graph, graph.input("x", "FP32", [4]), graph.constant("FP32", [4], [1, 2, 3, 4])) } }));
  for (const tensor of largeInitializers(model, 1)) moveToFile(tensor, location, 16);
  return toBinary(ModelProtoSchema, model);
}

const MANIFEST = "task: image-classification\nclassification:\n  labels: names/labels.txt\n";

describe("what goes with an ONNX file", () => {
  it("is nothing where it stands alone", () => {
    using directory = folderOf({ "net.onnx": addSubModel(), "other.txt": "" });

    assert.deepEqual(onnxFiles(join(directory.path, "net.onnx")).map(({ path }) => path), ["model.onnx"]);
  });

  it("are weights in files of their own, servable.yaml and the files that it names", () => {
    using directory = folderOf({ "net.onnx": pointingAt("data/w.bin"), "data/w.bin": "0123456789abcdef", "servable.yaml": MANIFEST, "names/labels.txt": "cat" });

    assert.deepEqual(onnxFiles(join(directory.path, "net.onnx")).map(({ path }) => path), ["model.onnx", "data/w.bin", "servable.yaml", "names/labels.txt"]);
  });

  const missing = [
    { what: "weights", files: { "net.onnx": pointingAt("w.bin") }, want: /there is no file .*w\.bin, which .*net\.onnx names/ },
    { what: "labels", files: { "net.onnx": addSubModel(), "servable.yaml": MANIFEST }, want: /there is no file .*labels\.txt, which .*servable\.yaml names/ },
  ];
  for (const { what, files, want } of missing) {
    it(`says which ${what} are missing, and who names them`, () => {
      using directory = folderOf(files);

      assert.throws(() => onnxFiles(join(directory.path, "net.onnx")), (error: unknown) => error instanceof StatusError && want.test(error.message));
    });
  }

  it("is never a file outside of the folder: that is left to the registry, which refuses it", () => {
    using directory = folderOf({ "m/net.onnx": pointingAt("../secret"), "secret": "s" });

    assert.deepEqual(onnxFiles(join(directory.path, "m/net.onnx")).map(({ path }) => path), ["model.onnx"]);
  });
});
