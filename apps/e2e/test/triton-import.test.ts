import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCli } from "@servable/cli";
import { addSubModel, identityModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

const FILES: Record<string, string | Uint8Array> = {
  "simple/config.pbtxt": `
    name: "simple"
    platform: "onnxruntime_onnx"
    max_batch_size: 8
    input [ { name: "INPUT0" data_type: TYPE_INT32 dims: [ 16 ] }, { name: "INPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
    output [ { name: "OUTPUT0" data_type: TYPE_INT32 dims: [ 4, 4 ] reshape { shape: [ 16 ] } label_filename: "labels.txt" }, { name: "OUTPUT1" data_type: TYPE_INT32 dims: [ 16 ] } ]
    version_policy { specific { versions: [ 1, 3 ] } }
    dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 500 }
    instance_group [ { count: 1 kind: KIND_GPU gpus: [ 0 ] } ]
    model_warmup [ { name: "zeros" batch_size: 4 inputs { key: "INPUT0" value { data_type: TYPE_INT32 dims: [ 16 ] zero_data: true } } inputs { key: "INPUT1" value { data_type: TYPE_INT32 dims: [ 16 ] random_data: true } } } ]
  `,
  "simple/labels.txt": "zero\none\ntwo",
  "simple/1/model.onnx": addSubModel(),
  "simple/2/model.onnx": addSubModel(),
  "simple/3/model.onnx": addSubModel(),
  "plain.v1/1/model.onnx": identityModel("FP32"),
  "a_double/config.pbtxt": `
    platform: "ensemble" max_batch_size: 8
    input { name: "X" data_type: TYPE_INT32 dims: 16 } output { name: "Y" data_type: TYPE_INT32 dims: [ 4, 4 ] }
    ensemble_scheduling { step { model_name: "simple" model_version: -1
      input_map { key: "INPUT0" value: "X" } input_map { key: "INPUT1" value: "X" } output_map { key: "OUTPUT0" value: "Y" } } }
  `,
  "a_double/1/.gitkeep": "",
  "a_graph/config.pbtxt": `
    max_batch_size: 8
    input { name: "X" data_type: TYPE_INT32 dims: 16 } output { name: "Y" data_type: TYPE_INT32 dims: [ 4, 4 ] }
    parameters { key: "servable.graph" value { string_value: "root: {model: simple, inputs: {INPUT0: X, INPUT1: X}, outputs: {OUTPUT0: Y}}" } }
  `,
  "a_graph/1/.gitkeep": "",
  "cold/config.pbtxt": 'backend: "onnxruntime" model_warmup { name: "recorded" batch_size: 1 inputs { key: "INPUT0" value { data_type: TYPE_FP32 dims: 4 input_data_file: "none" } } }',
  "cold/1/model.onnx": identityModel("FP32"),
  "script/config.pbtxt": 'backend: "python"',
  "script/1/model.py": "",
  "broken/1/model.onnx": "this is no model, whatever its name says",
};

describe("a Triton model repository", () => {
  const directory = tempDir();
  const repository = join(directory.path, "models");
  let platform: TestPlatform;
  const cli = async (...args: string[]) => {
    let out = "";
    let err = "";
    const code = await runCli([...args, "--data-dir", platform.dataDir], { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) }, env: {} });
    return { code, out, err };
  };

  before(async () => {
    for (const [path, bytes] of Object.entries(FILES)) {
      mkdirSync(dirname(join(repository, path)), { recursive: true });
      writeFileSync(join(repository, path), bytes);
    }
    platform = await TestPlatform.create({ trace: false });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("is imported as it is, each version under its number, and says what cannot be honoured", async () => {
    const { code, out, err } = await cli("models", "import", repository, "--deploy");

    assert.equal(code, 1, out); // one model is broken
    assert.match(err, /not everything could be imported: broken 1, cold/);
    assert.match(out, /simple +1 +1 +imported/);
    assert.match(out, /simple +3 +3 +imported/);
    assert.match(out, /script: cannot be served: its backend is python/);
    assert.match(out, /version 1 failed: the file is no ONNX model/);
    assert.match(out, /not honoured +instance_group\[0\]\.kind: the model runs on the CPU/);
    assert.match(out, /simple serves version 1, 3/);
    assert.match(out, /cold cannot be served: .*model_warmup\[0\]\.inputs\["INPUT0"\]\.input_data_file: the version has no file "warmup\/none"/);
    assert.deepEqual((await platform.client.models.versions("simple")).map(({ artifacts }) => artifacts.map(({ path }) => path)), [3, 2, 1].map(() => ["config.pbtxt", "labels.txt", "model.onnx"]));
  });

  it("answers clients with the configuration that Triton would have", async () => {
    const config = (await (await platform.fetch("/v2/models/simple/versions/3/config")).json()) as Record<string, unknown>;

    assert.deepEqual([config["max_batch_size"], config["platform"], config["version_policy"]], [8, "onnxruntime_onnx", { specific: { versions: [1, 3] } }]);
    const batching = config["dynamic_batching"] as Record<string, unknown>;
    assert.deepEqual([batching["preferred_batch_size"], Number(batching["max_queue_delay_microseconds"])], [[4, 8], 500]);
    const plain = (await (await platform.fetch("/v2/models/plain.v1/config")).json()) as Record<string, unknown>;
    assert.deepEqual([plain["max_batch_size"], plain["input"]], [4, [{ ...(plain["input"] as object[])[0], name: "INPUT0", data_type: "TYPE_FP32", dims: [-1] }]]);
  });

  it("takes and gives the shapes of the configuration, reshaped for the graph", async () => {
    const metadata = (await (await platform.fetch("/v2/models/simple")).json()) as { versions: string[]; outputs: { name: string; shape: number[] }[] };
    const values = Array.from({ length: 16 }, (_, index) => index);
    const body = JSON.stringify({ inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1, 16], data: values })) });

    const answer = (await (await platform.fetch("/v2/models/simple/infer", { method: "POST", body })).json()) as { model_version: string; outputs: { name: string; shape: number[]; data: number[] }[] };

    assert.deepEqual([metadata.versions, metadata.outputs.map(({ name, shape }) => [name, shape])], [["1", "3"], [["OUTPUT0", [-1, 4, 4]], ["OUTPUT1", [-1, 16]]]]);
    assert.equal(answer.model_version, "3");
    assert.deepEqual(answer.outputs.map(({ name, shape }) => [name, shape]), [["OUTPUT0", [1, 4, 4]], ["OUTPUT1", [1, 16]]]);
    assert.deepEqual(answer.outputs[0]?.data, values.map((value) => 2 * value));
  });

  it("names classes by the model's labels", async () => {
    const inputs = ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1, 16], data: Array.from({ length: 16 }, (_, index) => 16 - index) }));

    const { outputs } = (await (await platform.fetch("/v2/models/simple/infer", { method: "POST", body: JSON.stringify({ inputs, outputs: [{ name: "OUTPUT0", parameters: { classification: 2 } }] }) })).json()) as { outputs: { data: string[] }[] };

    assert.deepEqual(outputs[0]?.data, ["32:0:zero", "30:1:one"]);
  });

  it("is not ready, and says why, while its warm-up fails", async () => {
    const ready = await platform.fetch("/v2/models/cold/ready");
    const index = (await (await platform.fetch("/v2/repository/index", { method: "POST" })).json()) as { name: string; state: string; reason: string }[];

    assert.notEqual(ready.status, 200);
    assert.deepEqual(index.filter(({ name }) => name === "cold").map(({ state, reason }) => [state, /model_warmup\[0\]/.test(reason)]), [["UNAVAILABLE", true]]);
  });

  for (const [what, model] of [["an ensemble", "a_double"], ["a typed graph", "a_graph"]] as const) {
    it(`runs ${what} of its models`, async () => {
      const body = JSON.stringify({ inputs: [{ name: "X", datatype: "INT32", shape: [1, 16], data: Array(16).fill(3) }] });

      const { outputs } = (await (await platform.fetch(`/v2/models/${model}/infer`, { method: "POST", body })).json()) as { outputs: { name: string; shape: number[]; data: number[] }[] };

      assert.deepEqual(outputs.map(({ name, shape, data }) => [name, shape, data[0]]), [["Y", [1, 4, 4], 6]]);
    });
  }

  it("serves by the name of a label what the label points at, also when it moves", async () => {
    const called = async (version: string) => {
      const body = JSON.stringify({ inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1, 16], data: Array(16).fill(1) })) });
      const answer = await platform.fetch(`/v2/models/labelled/versions/${version}/infer`, { method: "POST", body });
      return answer.ok ? ((await answer.json()) as { model_version: string }).model_version : answer.status;
    };
    await cli("models", "alias", "set", "simple", "stable", "1");
    await cli("models", "alias", "set", "simple", "canary", "2");
    const { code, out } = await cli("deploy", "simple", "--as", "labelled", "--labels", "stable,canary");
    const before = [await called("stable"), await called("canary"), await called("2"), await called("nobody"), await called("3")];
    await cli("models", "alias", "set", "simple", "canary", "3");
    const deadline = Date.now() + 20_000;
    while ((await called("canary")) !== "3" && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));

    assert.deepEqual([code, out.split("\n")[0]], [0, "labelled serves version 1, 2"]);
    assert.deepEqual(before, ["1", "2", "2", 400, 404]);
    assert.deepEqual([await called("stable"), await called("canary")], ["1", "3"]);
  });

  it("is left alone by a second run, and a changed version gets the next number", async () => {
    const again = await cli("models", "import", join(repository, "simple"), "--json");
    writeFileSync(join(repository, "simple/labels.txt"), "a\nb\nc");
    const changed = await cli("models", "import", join(repository, "simple"), "--json");

    const versions = ({ out }: { out: string }) => (JSON.parse(out) as { models: { versions: { number: number; version: number; outcome: string }[] }[] }).models[0]?.versions.map(({ number, version, outcome }) => [number, version, outcome]);
    assert.deepEqual([again.code, versions(again)], [0, [[1, 1, "already there"], [2, 2, "already there"], [3, 3, "already there"]]]);
    assert.deepEqual([changed.code, versions(changed)], [0, [[1, 4, "imported"], [2, 5, "imported"], [3, 6, "imported"]]]);
    assert.deepEqual((await platform.client.models.versions("simple")).map(({ number, labels }) => [Number(number), labels["triton.version"]]), [[6, "3"], [5, "2"], [4, "1"], [3, "3"], [2, "2"], [1, "1"]]);
  });
});
