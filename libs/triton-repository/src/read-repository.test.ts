import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { settingPaths } from "./findings.ts";
import { isTritonRepository, readTritonRepository } from "./read-repository.ts";
import { servingConfigOf } from "./serving-config.ts";
import { SETTING_RULES } from "./setting-rules.ts";

/** A folder with these files. */
function repository(files: Record<string, string>) {
  const directory = tempDir();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory.path, path)), { recursive: true });
    writeFileSync(join(directory.path, path), text);
  }
  return directory;
}

describe("Triton model repository", () => {
  it("gives every numbered version its own files and those of the model", async () => {
    using directory = repository({
      "resnet/config.pbtxt": 'name: "resnet" backend: "onnxruntime" default_model_filename: "net.onnx" output { name: "y" label_filename: "labels.txt" }',
      "resnet/labels.txt": "cat", "resnet/warmup/image": "i", "resnet/initial_state/zero": "z", "resnet/servable.yaml": "task: x",
      "resnet/1/net.onnx": "one", "resnet/3/net.onnx": "three", "resnet/3/weights/a.bin": "w", "resnet/3/labels.txt": "dog",
      "resnet/0/net.onnx": "no number", "resnet/03/net.onnx": "no number", "resnet/.git/x": "hidden", "README.md": "no model",
    });

    const { models } = await readTritonRepository(directory.path);

    assert.deepEqual(models.map(({ name, kind, refusal }) => [name, kind, refusal]), [["resnet", "onnx", ""]]);
    const versions = models[0]?.versions.map(({ number, files }) => [number, Object.fromEntries(files.map(({ path, source }) => [path, source.slice(directory.path.length + 8)]))]);
    const shared = { "config.pbtxt": "config.pbtxt", "labels.txt": "labels.txt", "warmup/image": "warmup/image", "initial_state/zero": "initial_state/zero", "servable.yaml": "servable.yaml" };
    assert.deepEqual(versions, [
      [1, { ...shared, "model.onnx": "1/net.onnx" }],
      [3, { ...shared, "model.onnx": "3/net.onnx", "weights/a.bin": "3/weights/a.bin", "labels.txt": "3/labels.txt" }],
    ]);
  });

  it("lays a model that is a folder out flat, so that its weights stand beside it", async () => {
    using directory = repository({ "m/config.pbtxt": 'backend: "onnxruntime"', "m/1/model.onnx/model.onnx": "m", "m/1/model.onnx/w.bin": "w" });

    const { models } = await readTritonRepository(join(directory.path, "m"));

    assert.deepEqual(models[0]?.versions[0]?.files.map(({ path }) => path), ["config.pbtxt", "model.onnx", "w.bin"]);
  });

  it("takes a model without a configuration, follows links, and completes as Triton does", async () => {
    using directory = repository({ "store/model.onnx": "m" });
    mkdirSync(join(directory.path, "repo/plain"), { recursive: true });
    symlinkSync(join(directory.path, "store"), join(directory.path, "repo/plain/2"));

    const { models } = await readTritonRepository(join(directory.path, "repo"));

    assert.deepEqual(models[0]?.versions.map(({ number, files }) => [number, files.map(({ path }) => path)]), [[2, ["model.onnx"]]]);
    assert.deepEqual(models[0] && JSON.parse(servingConfigOf(models[0])), { parameters: { "servable.autocomplete": { string_value: "triton" } } });
  });

  it("takes an ensemble, which has no file", async () => {
    using directory = repository({ "e/config.pbtxt": 'platform: "ensemble" max_batch_size: 1 ensemble_scheduling { step { model_name: "m" model_version: -1 input_map { key: "a" value: "b" } } }', "e/1/.keep": "" });

    const { models } = await readTritonRepository(directory.path);

    assert.deepEqual([models[0]?.kind, models[0]?.versions.map(({ number, files }) => [number, files.map(({ path }) => path)])], ["ensemble", [[1, ["config.pbtxt"]]]]);
    assert.deepEqual(models[0] && JSON.parse(servingConfigOf(models[0])), { platform: "ensemble", max_batch_size: 1, ensemble_scheduling: { step: [{ model_name: "m", model_version: "-1", input_map: { a: "b" } }] } });
  });

  const refused = [
    { what: "python", files: { "m/config.pbtxt": 'backend: "python"', "m/1/model.py": "" }, want: /its backend is python/ },
    { what: "python without saying so", files: { "m/1/model.py": "" }, want: /its backend is python/ },
    { what: "a TensorRT plan", files: { "m/config.pbtxt": 'platform: "tensorrt_plan"', "m/1/model.plan": "" }, want: /TensorRT plan, compiled for one kind of GPU/ },
    { what: "another framework", files: { "m/config.pbtxt": 'platform: "pytorch_libtorch"', "m/1/model.pt": "" }, want: /its backend is pytorch_libtorch/ },
    { what: "another folder's name", files: { "m/config.pbtxt": 'name: "n" backend: "onnxruntime"', "m/1/model.onnx": "" }, want: /m\/config\.pbtxt: name: "n" must be the folder's name, "m"/ },
    { what: "a mistyped setting", files: { "m/config.pbtxt": 'backend: "onnxruntime"\nmax_batchsize: 8', "m/1/model.onnx": "" }, want: /^m\/config\.pbtxt:2:1: max_batchsize: .*did you mean max_batch_size\?/ },
    { what: "no versions", files: { "m/config.pbtxt": 'backend: "onnxruntime"' }, want: /no numbered version/ },
    { what: "no model file", files: { "m/config.pbtxt": 'backend: "onnxruntime"', "m/1/other.onnx": "" }, want: /no version has a model file/ },
  ];
  for (const { what, files, want } of refused) {
    it(`refuses a model with ${what}, and takes the others`, async () => {
      using directory = repository({ ...files, "good/1/model.onnx": "g" });

      const { models } = await readTritonRepository(directory.path);

      assert.match(models.find(({ name }) => name === "m")?.refusal ?? "", want);
      assert.equal(models.find(({ name }) => name === "good")?.refusal, "");
    });
  }

  it("knows what is no repository", async () => {
    using directory = repository({ "src/index.ts": "", "model.onnx": "" });

    assert.equal(await isTritonRepository(directory.path), false);
    assert.equal(await isTritonRepository(join(directory.path, "model.onnx")), false);
    await assert.rejects(readTritonRepository(directory.path), (error: unknown) => error instanceof StatusError && /no Triton model repository/.test(error.message));
    await assert.rejects(readTritonRepository(join(directory.path, "nowhere")), /there is no folder/);
  });
});

describe("what becomes of settings", () => {
  it("is said of every field that a configuration can have, and of no other", () => {
    const paths = settingPaths();

    assert.deepEqual(paths.filter((path) => !(path in SETTING_RULES) && path !== "parameters.string_value"), []);
    assert.deepEqual(Object.keys(SETTING_RULES).filter((path) => !paths.includes(path)), []);
  });

  it("names the setting, its place and the reason", async () => {
    using directory = repository({
      "m/config.pbtxt": `backend: "onnxruntime" max_batch_size: 8 dynamic_batching { max_queue_delay_microseconds: 100 }
        instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_GPU gpus: [0] } ]
        optimization { execution_accelerators { gpu_execution_accelerator: [ { name: "tensorrt" } ] } }
        response_cache { enable: true } parameters { key: "execution_mode" value { string_value: "1" } } parameters { key: "mine" value { string_value: "x" } }
        model_repository_agents { agents [ { name: "checksum" } ] }`,
      "m/1/model.onnx": "", "m/configs/fast.pbtxt": "", "m/1/odd name": "", "m/2/x": "",
    });

    const { models } = await readTritonRepository(directory.path);

    const verdicts = Object.fromEntries(models[0]?.findings.map(({ setting, verdict }) => [setting, verdict]) ?? []);
    assert.deepEqual(verdicts, {
      "backend": "honoured", "max_batch_size": "honoured", "dynamic_batching.max_queue_delay_microseconds": "honoured",
      "instance_group[0].count": "honoured", "instance_group[0].kind": "honoured", "instance_group[1].kind": "not honoured", "instance_group[1].gpus": "not honoured",
      "optimization.execution_accelerators.gpu_execution_accelerator": "not honoured", "response_cache.enable": "not honoured",
      'parameters["execution_mode"]': "adapted", 'parameters["mine"]': "ignored", "model_repository_agents": "not honoured",
      "configs/fast.pbtxt": "not honoured", "1/odd name": "not honoured", "2/": "not honoured",
    });
    assert(models[0]?.findings.every(({ verdict, reason }) => (verdict === "honoured") === (reason === "")));
  });
});
