import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runCli } from "@servable/cli";
import { GRPCInferenceService, type ModelStreamInferResponse } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { createChannel, createClient, type Channel } from "@servable/grpc";
import { Graph, buildModel, mul, reduceSum } from "@servable/onnx";
import { elementsOf, encodeBytesElements, tensorOf } from "@servable/tensor";
import { accumulatorModel, addSubModel, repeatModel, sharedAsset, skipWithout, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

// Models made of models, through the gateway: ensembles, typed graphs, sequences and decoupled steps.

const [PICTURES, TEXTS] = ["assets/imagenet-mobilenetv2", "assets/bert-mini-intents"];

/** y = factor · x, INT32 [batch, 16]. */
function scaleModel(factor: number): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "INT32", ["batch", 16]);
  return buildModel({ graph, outputs: { y: mul(graph, x, graph.constant("INT32", [1], [factor])) } });
}

/** total = Σ x, INT32 [batch, 16] → [batch, 1]. */
function totalModel(): Uint8Array {
  const graph = new Graph();
  return buildModel({ graph, outputs: { total: reduceSum(graph, graph.input("x", "INT32", ["batch", 16]), [1], true) } });
}

const tensor = (name: string, size = 16) => ({ name, data_type: "TYPE_INT32", dims: [size] });
const step = (model_name: string, input_map: Record<string, string>, output_map: Record<string, string>) => ({ model_name, model_version: -1, input_map, output_map });

describe("pipelines", { timeout: 180_000 }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  let channel: Channel;
  const client = () => createClient(GRPCInferenceService, channel, { metadata: { authorization: `Bearer ${platform.apiKey}` } });
  const importModel = async (model: string, bytes: Uint8Array, config: string): Promise<void> => {
    const file = join(directory.path, `${model}.onnx`);
    writeFileSync(file, bytes);
    await platform.client.models.importFile({ model, file, servingConfigJson: config });
  };
  /** A pipeline is all settings and no file. */
  const importPipeline = (pipeline: { model: string; servingConfigJson: string }) => platform.client.models.importVersion({ ...pipeline, files: [] });
  before(async () => {
    platform = await TestPlatform.create();
    channel = createChannel(platform.platform.grpcAddress);
    const batched = '{"max_batch_size": 8, "dynamic_batching": {}}';
    await importModel("simple", addSubModel(), batched);
    await importModel("triple", scaleModel(3), batched);
    await importModel("negate", scaleModel(-1), batched);
    await importModel("total", totalModel(), batched);
    const { model, config } = accumulatorModel("oldest");
    await importModel("running_sum", model, config);
    const repeat = repeatModel();
    await importModel("repeat_int32", repeat.model, repeat.config);
  });
  after(async () => {
    channel.close();
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  const vector = (name: string, value: number, rows = 1) => ({ head: { name, datatype: "INT32", shape: [BigInt(rows), 16n] }, data: tensorOf("INT32", [rows, 16], Array<number>(16 * rows).fill(value)).data });
  const requestOf = (modelName: string, inputs: readonly ReturnType<typeof vector>[]) => ({ modelName, inputs: inputs.map(({ head }) => head), rawInputContents: inputs.map(({ data }) => data) });
  const outputsOf = ({ outputs, rawOutputContents }: { outputs: readonly { name: string; shape: readonly bigint[] }[]; rawOutputContents: readonly Uint8Array[] }) =>
    Object.fromEntries(outputs.map(({ name, shape }, index) => [name, elementsOf({ datatype: "INT32", shape: shape.map(Number), data: rawOutputContents[index] as Uint8Array })]));

  it("are loaded with the models that they call, and answer what those make of it", async () => {
    const servingConfigJson = JSON.stringify({
      max_batch_size: 8,
      input: [tensor("A"), tensor("B")],
      output: [tensor("DIFFERENCE"), tensor("TOTAL", 1)],
      ensemble_scheduling: { step: [step("total", { x: "scaled" }, { total: "TOTAL" }), step("triple", { x: "sum" }, { y: "scaled" }), step("simple", { INPUT0: "A", INPUT1: "B" }, { OUTPUT0: "sum", OUTPUT1: "DIFFERENCE" })] },
    });
    await importPipeline({ model: "pipe", servingConfigJson });

    await client().repositoryModelLoad({ modelName: "pipe" });
    const answer = outputsOf(await client().modelInfer(requestOf("pipe", [vector("A", 5, 2), vector("B", 2, 2)])));

    assert.deepEqual(answer, { DIFFERENCE: Array<number>(32).fill(3), TOTAL: [336, 336] });
    const metadata = await client().modelMetadata({ name: "pipe" });
    assert.equal(metadata.platform, "ensemble");
    assert.deepEqual(metadata.inputs.map(({ name, shape }) => [name, shape]), [["A", [-1n, 16n]], ["B", [-1n, 16n]]]);
  });

  it("run their steps in batches with everybody else's requests, counted where they run", async () => {
    const countsOf = async (name: string) => {
      const [stats] = (await client().modelStatistics({ name })).modelStats;
      return { requests: Number(stats?.inferenceStats?.success?.count ?? 0), elements: Number(stats?.inferenceCount ?? 0), runs: Number(stats?.executionCount ?? 0) };
    };
    const before = await countsOf("triple");
    await Promise.all(Array.from({ length: 60 }, (_, index) => client().modelInfer(requestOf("pipe", [vector("A", index), vector("B", 1)]))));
    const after = await countsOf("triple");

    assert.equal(after.requests - before.requests, 60);
    assert.equal(after.elements - before.elements, 60);
    assert.ok(after.runs - before.runs < 60, `${after.runs - before.runs} runs`);
    assert.ok((await countsOf("pipe")).requests >= 60);
  });

  it("say which step is not loaded", async () => {
    await importPipeline({ model: "needy", servingConfigJson: JSON.stringify({ max_batch_size: 8, input: [tensor("A")], output: [tensor("OUT")], ensemble_scheduling: { step: [step("nobody", { x: "A" }, { y: "OUT" })] } }) });

    await assert.rejects(client().repositoryModelLoad({ modelName: "needy" }), (error: unknown) => error instanceof StatusError && /^failed to load 'needy', it depends on 'nobody': failed to load 'nobody'/.test(error.message) || assert.fail(String(error)));
  });

  it("that do not fit are refused with the tensor that does not", async () => {
    await importPipeline({ model: "misfit", servingConfigJson: JSON.stringify({ max_batch_size: 8, input: [tensor("A", 4)], output: [tensor("OUT")], ensemble_scheduling: { step: [step("triple", { x: "A" }, { y: "OUT" })] } }) });

    await assert.rejects(client().repositoryModelLoad({ modelName: "misfit" }), (error: unknown) => error instanceof StatusError && /'x' of 'triple' has the shape \[-1, 16\], the caller writes \[-1, 4\]/.test(error.message) || assert.fail(String(error)));
  });

  it("branch by the values of a tensor and by parameters, as typed graphs", async () => {
    const graph = `
root:
  sequence:
    - model: total
      inputs: {x: A}
    - switch:
        cases:
          - when: {tensor: total, ">": 100}
            then: {model: negate, inputs: {x: A}, outputs: {y: OUT}}
          - when: {parameter: mode, "==": plain}
            then: {model: simple, inputs: {INPUT0: A, INPUT1: A}, outputs: {OUTPUT0: OUT}}
        otherwise: {model: triple, inputs: {x: A}, outputs: {y: OUT}}
`;
    await importPipeline({ model: "branching", servingConfigJson: JSON.stringify({ max_batch_size: 8, input: [tensor("A")], output: [tensor("OUT"), tensor("total", 1)], parameters: { "servable.graph": { string_value: graph } } }) });
    await client().repositoryModelLoad({ modelName: "branching" });
    const ask = async (value: number, mode?: string): Promise<unknown> => {
      const parameters = mode === undefined ? {} : { mode: { parameterChoice: { case: "stringParam" as const, value: mode } } };
      return outputsOf(await client().modelInfer({ ...requestOf("branching", [vector("A", value)]), parameters }))["OUT"]?.[0];
    };

    assert.deepEqual([await ask(10), await ask(2), await ask(2, "plain")], [-10, 6, 4]);
  });

  describe("take pictures and sentences", { skip: skipWithout(`${PICTURES}/expected.json`, `${TEXTS}/expected.json`) }, () => {
    const asset = (path: string): string => sharedAsset(path) ?? "";
    const importFolder = async (name: string, model: string, ...files: string[]): Promise<void> => {
      const folder = join(directory.path, name);
      mkdirSync(folder);
      copyFileSync(asset(model), join(folder, "model.onnx"));
      copyFileSync(join(import.meta.dirname, "../../../examples/tasks", name, "servable.yaml"), join(folder, "servable.yaml"));
      for (const file of files) copyFileSync(asset(file), join(folder, basename(file)));
      let complaint = "";
      const stderr = { write: (text: string) => (complaint += text) };
      assert.equal(await runCli(["models", "import", join(folder, "model.onnx"), "--name", name, "--address", platform.platform.grpcAddress, "--api-key", platform.apiKey], { stdout: { write: () => true }, stderr, env: {} }), 0, complaint);
    };
    const text = (name: string, dims = [-1]) => ({ name, data_type: "TYPE_STRING", dims });
    const bytesRequest = (modelName: string, name: string, elements: readonly Uint8Array[]) => ({ modelName, inputs: [{ name, datatype: "BYTES", shape: [BigInt(elements.length)] }], rawInputContents: [encodeBytesElements(elements)] });
    const textsOf = ({ outputs, rawOutputContents }: { outputs: readonly { name: string; shape: readonly bigint[] }[]; rawOutputContents: readonly Uint8Array[] }, name: string): string[] => {
      const index = outputs.findIndex((output) => output.name === name);
      return elementsOf({ datatype: "BYTES", shape: outputs[index]?.shape.map(Number) ?? [], data: rawOutputContents[index] as Uint8Array }).map((value) => Buffer.from(value as Uint8Array).toString());
    };

    it("as files: decoded, run and labelled on the way", async () => {
      await importFolder("mobilenet", `${PICTURES}/mobilenet_v2_1.0_224_qdq_uint8.onnx`, `${PICTURES}/imagenet_labels.txt`);
      await client().repositoryModelLoad({ modelName: "mobilenet" });
      const { inputs, outputs } = await client().modelMetadata({ name: "mobilenet" });
      const graph = { root: { sequence: [{ decode_image: { model: "mobilenet", from: "FILE" } }, { model: "mobilenet", inputs: { [inputs[0]?.name ?? ""]: inputs[0]?.name }, outputs: { [outputs[0]?.name ?? ""]: "scores" } }, { top_labels: { model: "mobilenet", from: "scores", top_k: 2, to: { labels: "LABEL" } } }] } };
      await importPipeline({ model: "what_is_it", servingConfigJson: JSON.stringify({ input: [text("FILE")], output: [text("LABEL", [-1, -1])], parameters: { "servable.graph": { string_value: JSON.stringify(graph) } } }) });
      await client().repositoryModelLoad({ modelName: "what_is_it" });

      const answer = await client().modelInfer(bytesRequest("what_is_it", "FILE", [readFileSync(asset(`${PICTURES}/pictures/bird.bmp`))]));

      assert.deepEqual([textsOf(answer, "LABEL")[0], answer.outputs[0]?.shape], ["chickadee", [1n, 2n]]);
      await assert.rejects(client().modelInfer(bytesRequest("what_is_it", "FILE", [Buffer.from("no picture")])), (error: unknown) => error instanceof StatusError && error.reason === "IMAGE_INVALID" && error.message.startsWith("in graph 'what_is_it', ") || assert.fail(String(error)));
    });

    it("as texts: tokenised, run and labelled on the way", async () => {
      await importFolder("intents", `${TEXTS}/classifier-banking77.onnx`, `${TEXTS}/tokenizer.json`, `${TEXTS}/labels.json`);
      const graph = "root: {sequence: [{tokenize: {model: intents, from: TEXT}}, {model: intents}, {top_labels: {model: intents, from: logits, top_k: 1, to: {labels: INTENT, probabilities: P}}}]}";
      await importPipeline({ model: "intent_of", servingConfigJson: JSON.stringify({ input: [text("TEXT")], output: [text("INTENT", [-1, -1]), { name: "P", data_type: "TYPE_FP32", dims: [-1, -1] }], parameters: { "servable.graph": { string_value: graph } } }) });
      await client().repositoryModelLoad({ modelName: "intent_of" });
      const goldens = (JSON.parse(readFileSync(asset(`${TEXTS}/expected.json`), "utf8")) as { text: string; label: string }[]).slice(0, 5);

      const answer = await client().modelInfer(bytesRequest("intent_of", "TEXT", goldens.map((golden) => Buffer.from(golden.text))));

      assert.deepEqual(textsOf(answer, "INTENT"), goldens.map(({ label }) => label));
    });
  });

  it("carry sequences to their steps, over a stream", async () => {
    const one = (name: string) => ({ name, data_type: "TYPE_INT32", dims: [1] });
    await importPipeline({ model: "sequence_pipe", servingConfigJson: JSON.stringify({ max_batch_size: 4, input: [one("IN")], output: [one("SUM")], ensemble_scheduling: { step: [step("running_sum", { INPUT: "IN" }, { OUTPUT: "SUM" })] } }) });
    await client().repositoryModelLoad({ modelName: "sequence_pipe" });
    const send = (id: bigint, index: number) => ({
      modelName: "sequence_pipe",
      id: `${id}_${index}`,
      inputs: [{ name: "IN", datatype: "INT32", shape: [1n, 1n] }],
      rawInputContents: [tensorOf("INT32", [1], [Number(id)]).data],
      parameters: { sequence_id: { parameterChoice: { case: "int64Param" as const, value: id } }, sequence_start: { parameterChoice: { case: "boolParam" as const, value: index === 0 } }, sequence_end: { parameterChoice: { case: "boolParam" as const, value: index === 4 } } },
    });
    const requests = [0, 1, 2, 3, 4].flatMap((index) => [send(7n, index), send(100n, index)]);

    const answers = await Array.fromAsync(client().modelStreamInfer(requests));

    const sums = (id: string): unknown[] => answers.filter(({ inferResponse }) => inferResponse?.id.startsWith(`${id}_`)).map(({ inferResponse }) => inferResponse === undefined ? undefined : outputsOf(inferResponse)["SUM"]?.[0]);
    assert.deepEqual(answers.map(({ errorMessage }) => errorMessage).filter((message) => message !== ""), []);
    assert.deepEqual([sums("7"), sums("100")], [[7, 14, 21, 28, 35], [100, 200, 300, 400, 500]]);
  });

  describe("and decoupled models", () => {
    const repeat = (values: readonly number[], delaysMs: readonly number[], modelName = "repeat_int32") => ({
      modelName,
      id: "r",
      inputs: [{ name: "IN", datatype: "INT32", shape: [BigInt(values.length)] }, { name: "DELAY", datatype: "UINT32", shape: [BigInt(values.length)] }, { name: "WAIT", datatype: "UINT32", shape: [1n] }],
      rawInputContents: [tensorOf("INT32", [values.length], values).data, tensorOf("UINT32", [values.length], delaysMs).data, new Uint8Array(4)],
    });
    const isFinal = ({ inferResponse }: ModelStreamInferResponse): unknown => inferResponse?.parameters["triton_final_response"]?.parameterChoice.value;
    const wantsFinal = { triton_enable_empty_final_response: { parameterChoice: { case: "boolParam" as const, value: true } } };
    before(() => client().repositoryModelLoad({ modelName: "repeat_int32" }));

    it("answer any number of times, and say which answer is the last", async () => {
      const answers = await Array.fromAsync(client().modelStreamInfer([repeat([4, 5, 6], [0, 0, 0])]));

      assert.deepEqual(answers.map(({ inferResponse }) => inferResponse && outputsOf(inferResponse)), [{ OUT: [4], IDX: [0] }, { OUT: [5], IDX: [1] }, { OUT: [6], IDX: [2] }]);
      assert.deepEqual(answers.map(isFinal), [false, false, true]);
    });

    it("are counted once for each run, and once for each answer by its index", async () => {
      const [stats] = (await client().modelStatistics({ name: "repeat_int32" })).modelStats;

      assert.deepEqual([stats?.executionCount, stats?.inferenceStats?.success?.count], [1n, 1n]);
      assert.ok((stats?.inferenceStats?.computeInfer?.ns ?? 0n) > 0n);
      assert.deepEqual(Object.entries(stats?.responseStats ?? {}).map(([index, { success, fail }]) => [index, success?.count, fail?.count]), [["0", 1n, 0n], ["1", 1n, 0n], ["2", 1n, 0n]]);
    });

    it("end with an empty answer where the caller asks for it, even when there is no other", async () => {
      const answers = await Array.fromAsync(client().modelStreamInfer([{ ...repeat([9], [0]), parameters: wantsFinal }]));
      const none = await Array.fromAsync(client().modelStreamInfer([{ ...repeat([], []), parameters: wantsFinal }]));

      assert.deepEqual(answers.map((answer) => [answer.inferResponse?.outputs.length, isFinal(answer)]), [[2, false], [0, true]]);
      assert.deepEqual(none.map((answer) => [answer.inferResponse?.id, answer.inferResponse?.outputs.length, isFinal(answer)]), [["r", 0, true]]);
    });

    it("refuse a call that has one answer", async () => {
      await assert.rejects(client().modelInfer(repeat([1], [0])), (error: unknown) => error instanceof StatusError && error.code === "UNIMPLEMENTED" && error.message.startsWith("ModelInfer RPC doesn't support models with decoupled transaction policy"));
    });

    it("refuse it over REST too", async () => {
      const inputs = [{ name: "IN", datatype: "INT32", shape: [1], data: [1] }, { name: "DELAY", datatype: "UINT32", shape: [1], data: [0] }, { name: "WAIT", datatype: "UINT32", shape: [1], data: [0] }];

      const answer = await platform.fetch("/v2/models/repeat_int32/infer", { method: "POST", body: JSON.stringify({ inputs }) });

      assert.equal(answer.status, 501);
      assert.match(((await answer.json()) as { error: string }).error, /^HTTP end point doesn't support models with decoupled transaction policy/);
    });

    it("stop between two answers when the caller leaves", async () => {
      for await (const { inferResponse } of client().modelStreamInfer([repeat([1, 2], [0, 600_000])])) {
        assert.deepEqual(inferResponse && outputsOf(inferResponse)["OUT"], [1]);
        break;
      }
      const inFlight = async (): Promise<number> => Number((await client().modelStatistics({ name: "repeat_int32" })).modelStats[0]?.inferenceStats?.fail?.count ?? 0);
      while ((await inFlight()) === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    });

    it("may be steps of an ensemble, which then answers as often", async () => {
      const any = (name: string, data_type = "TYPE_INT32", dims = [-1]) => ({ name, data_type, dims });
      await importPipeline({
        model: "repeat_pipe",
        servingConfigJson: JSON.stringify({
          input: [any("IN"), any("DELAY", "TYPE_UINT32"), any("WAIT", "TYPE_UINT32", [1])],
          output: [any("OUT"), any("IDX", "TYPE_UINT32")],
          model_transaction_policy: { decoupled: true },
          ensemble_scheduling: { max_inflight_requests: 2, step: [step("repeat_int32", { IN: "IN", DELAY: "DELAY", WAIT: "WAIT" }, { OUT: "OUT", IDX: "IDX" })] },
        }),
      });
      await client().repositoryModelLoad({ modelName: "repeat_pipe" });

      const answers = await Array.fromAsync(client().modelStreamInfer([repeat([4, 5], [0, 0], "repeat_pipe")]));

      assert.deepEqual(answers.map(({ inferResponse }) => inferResponse && outputsOf(inferResponse)["OUT"]), [[4], [5]]);
    });
  });

  it("take their steps along when they are unloaded with their dependents", async () => {
    await client().repositoryModelUnload({ modelName: "branching", parameters: { unload_dependents: { parameterChoice: { case: "boolParam", value: true } } } });

    const ready = async (name: string): Promise<boolean> => (await client().modelReady({ name })).ready;
    assert.deepEqual([await ready("branching"), await ready("negate"), await ready("triple")], [false, false, true]);
  });

  it("answer that a step is gone once it is", async () => {
    await client().repositoryModelUnload({ modelName: "triple" });

    await assert.rejects(client().modelInfer(requestOf("pipe", [vector("A", 1), vector("B", 1)])), (error: unknown) => error instanceof StatusError && error.code === "UNAVAILABLE" && /ensemble 'pipe' depends on 'triple', which is not loaded/.test(error.message) || assert.fail(String(error)));
  });
});
