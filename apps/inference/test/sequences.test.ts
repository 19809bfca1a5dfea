import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { ELEMENT_TYPES, Graph, add, buildModel, cast, identity, mul, readModel, signatureOf, type Value } from "@servable/onnx";
import { startEngineProcess, type Engine } from "@servable/runtime";
import { tensorOf } from "@servable/tensor";
import { accumulatorModel, simpleDynaSequenceModel, simpleSequenceModel, tempDir, type ModelFixture } from "@servable/testing";
import type { InferRequest, SequencePlace } from "../src/domain/executors/executor.ts";
import { clientSignatureOf, modelConfigOf } from "../src/domain/config/model-config.ts";
import { SequenceExecutor } from "../src/domain/executors/sequence-executor.ts";
import { readSequenceSettings } from "../src/domain/config/sequence-settings.ts";
import { contextOf, requestOf, valuesOf } from "./support/fake-step-model.ts";

const directory = tempDir();
const opened: SequenceExecutor[] = [];
after(async () => {
  await Promise.all(opened.map((executor) => executor[Symbol.asyncDispose]()));
  directory[Symbol.dispose]();
});

/** The real model in real engines; every run is counted. */
async function serve({ model, config: text }: ModelFixture, more: object = {}, instances = 1): Promise<{ executor: SequenceExecutor; runs: () => number; folder: string; pids: readonly number[] }> {
  const folder = join(directory.path, String(opened.length));
  mkdirSync(join(folder, "initial_state"), { recursive: true });
  writeFileSync(join(folder, "model.onnx"), model);
  writeFileSync(join(folder, "initial_state", "ten"), tensorOf("INT32", [1], [10]).data);
  const signature = signatureOf(readModel(model));
  const config = modelConfigOf("m", signature, text, JSON.stringify(more));
  let runs = 0;
  const engines = await Promise.all(Array.from({ length: instances }, () => startEngineProcess({ path: join(folder, "model.onnx"), model: "m" })));
  const counted = engines.map((engine): Engine => Object.assign(Object.create(engine) as Engine, {
    run: (...args: Parameters<Engine["run"]>) => (runs++, engine.run(...args)),
    [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
  }));
  for (const [index, wrapped] of counted.entries()) for (const key of ["pid", "isUp", "restartCount"] as const) Object.defineProperty(wrapped, key, { get: () => engines[index]?.[key] });
  const executor = new SequenceExecutor({ model: "m", maxBatchSize: config.maxBatchSize, signature: clientSignatureOf(config), settings: await readSequenceSettings(config, signature, folder), engines: counted });
  opened.push(executor);
  return { executor, runs: () => runs, folder, pids: executor.pids };
}

/** "^" starts, "$" ends. */
function place(id: string, flags = ""): SequencePlace {
  return { id, numericId: /^\d+$/.test(id) ? BigInt(id) : undefined, start: flags.includes("^"), end: flags.includes("$") };
}
const request = (value: number, sequence: SequencePlace | undefined): InferRequest => requestOf([{ name: "INPUT", ...tensorOf("INT32", [1, 1], [value]) }], { sequence });

const send = async (executor: SequenceExecutor, value: number, id: string, flags = "", signal?: AbortSignal): Promise<unknown> => valuesOf(await executor.infer(request(value, place(id, flags)), contextOf(signal)))["OUTPUT"]?.[0];
const failsAs = (reason: string, text = "") => (error: unknown) => error instanceof StatusError && error.reason === reason && error.message.includes(text) || assert.fail(String(error));

describe("sequences on onnxruntime", { timeout: 60_000 }, () => {
  it("get START on their first request only, direct strategy", async () => {
    const { executor } = await serve(simpleSequenceModel());

    assert.deepEqual([await send(executor, 5, "1", "^"), await send(executor, 5, "1"), await send(executor, 5, "1", "$")], [6, 5, 5]);
  });

  it("share a run, each in its row", async () => {
    const { executor, runs } = await serve(simpleSequenceModel());

    const answers = await Promise.all(["1", "2", "3"].map((id, index) => send(executor, 10 * index, id, "^")));

    assert.deepEqual(answers, [1, 11, 21]);
    assert.equal(runs(), 1);
  });

  it("get END and their number, oldest strategy", async () => {
    const { executor } = await serve(simpleDynaSequenceModel());

    assert.deepEqual([await send(executor, 5, "1000", "^"), await send(executor, 6, "1000"), await send(executor, 7, "1000", "$")], [6, 6, 1_007]);
  });

  it("get a text as their id where the model takes texts; numbers come as digits", async () => {
    const { executor } = await serve(simpleDynaSequenceModel("BYTES"));

    assert.deepEqual([await send(executor, 1, "20", "^$"), await send(executor, 2, "30", "^$")], [22, 33]);
  });

  it("refuse a text as id where the model takes numbers", async () => {
    const { executor } = await serve(simpleDynaSequenceModel());

    await assert.rejects(send(executor, 1, "a-text", "^"), failsAs("FIELD_INVALID", 'sequence_id is the text "a-text": this model\'s "CORRID" takes UINT64 ids'));
  });

  for (const strategy of ["direct", "oldest"] as const) {
    it(`keep their state in the server, ${strategy} strategy`, async () => {
      const { executor } = await serve(accumulatorModel(strategy));
      const own = async (id: string, step: number): Promise<unknown[]> => {
        const sums = [];
        for (let index = 0; index < 4; index++) sums.push(await send(executor, step, id, index === 0 ? "^" : index === 3 ? "$" : ""));
        return sums;
      };

      assert.deepEqual(await Promise.all([own("1", 1), own("2", 10), own("three", 100)]), [[1, 2, 3, 4], [10, 20, 30, 40], [100, 200, 300, 400]]);
      assert.equal(await send(executor, 7, "1", "^"), 7);
    });
  }

  it("do not show their state to callers", async () => {
    const { executor } = await serve(accumulatorModel());

    const { outputs, timings } = await executor.infer(request(3, place("1", "^")), contextOf());

    assert.deepEqual(outputs.map(({ name }) => name), ["OUTPUT"]);
    assert.ok(timings.inferNs > 0 && timings.queueNs >= 0 && timings.countsExecution);
  });

  it("begin with the state of a file", async () => {
    const state = { input_name: "SUM", output_name: "NEXT_SUM", data_type: "TYPE_INT32", dims: [1], initial_state: [{ name: "ten", data_type: "TYPE_INT32", dims: [1], data_file: "ten" }] };
    const { executor } = await serve(accumulatorModel(), { sequence_batching: { direct: {}, state: [state] } });

    assert.deepEqual([await send(executor, 1, "1", "^"), await send(executor, 1, "1")], [11, 12]);
  });

  it("answer pipelined requests of one sequence in order", async () => {
    const { executor } = await serve(accumulatorModel());
    const order: number[] = [];
    await Promise.all(Array.from({ length: 20 }, (_, index) => send(executor, 1, "1", index === 0 ? "^" : "").then((sum) => order.push(sum as number))));

    assert.deepEqual(order, Array.from({ length: 20 }, (_, index) => index + 1));
  });

  it("are as many as wait, beyond the rows of all instances", async () => {
    const { executor } = await serve(accumulatorModel(), {}, 2);
    const all = await Promise.all(
      Array.from({ length: 40 }, async (_, id) => {
        const answers = [send(executor, id, `s${id}`, "^"), send(executor, id, `s${id}`), send(executor, id, `s${id}`, "$")];
        return Promise.all(answers);
      }),
    );

    assert.deepEqual(all, Array.from({ length: 40 }, (_, id) => [id, 2 * id, 3 * id]));
    assert.equal(executor.sequenceCount, 0);
  });

  it("run on a model without batches, one at a time, with signals of other datatypes", async () => {
    const graph = new Graph();
    const input = graph.input("INPUT", "FP32", [1]);
    const start = graph.input("START", "FP32", [1]);
    const end = cast(graph, graph.input("END", "BOOL", [1]), "FP32", ELEMENT_TYPES.FP32);
    const sum = add(graph, input, graph.input("SUM", "FP32", [1]));
    const scale = (value: Value, factor: number): Value => mul(graph, value, graph.constant("FP32", [1], [factor]));
    const model = buildModel({ graph, outputs: { OUTPUT: add(graph, sum, add(graph, scale(start, 100), scale(end, 1_000))), NEXT_SUM: identity(graph, sum) } });
    const { executor } = await serve({
      model,
      config: JSON.stringify({
        sequence_batching: {
          control_input: [
            { name: "START", control: [{ kind: "CONTROL_SEQUENCE_START", fp32_false_true: [0, 2] }] },
            { name: "END", control: [{ kind: "CONTROL_SEQUENCE_END", bool_false_true: [false, true] }] },
          ],
          state: [{ input_name: "SUM", output_name: "NEXT_SUM", data_type: "TYPE_FP32", dims: [1] }],
        },
      }),
    });
    const ask = async (value: number, id: string, flags = ""): Promise<unknown> => valuesOf(await executor.infer(requestOf([{ name: "INPUT", ...tensorOf("FP32", [1], [value]) }], { sequence: place(id, flags) }), contextOf()))["OUTPUT"]?.[0];

    const [one, two] = [[ask(1, "1", "^"), ask(1, "1"), ask(1, "1", "$")], [ask(5, "2", "^"), ask(5, "2", "$")]];
    assert.deepEqual([await Promise.all(one), await Promise.all(two)], [[201, 2, 1_003], [205, 1_010]]);
  });

  it("keep texts, and states that grow, in rows of like shape", async () => {
    const graph = new Graph();
    const [input, past] = [graph.input("INPUT", "INT32", ["batch", 1]), graph.input("PAST", "INT32", ["batch", "length"])];
    const all = graph.node("Concat", [past, input], { datatype: "INT32", shape: ["batch", "grown"] }, { axis: 1 });
    const { executor } = await serve({
      model: buildModel({ graph, outputs: { OUTPUT: identity(graph, all), PRESENT: identity(graph, all) } }),
      config: JSON.stringify({ max_batch_size: 4, sequence_batching: { oldest: { max_candidate_sequences: 4 }, state: [{ input_name: "PAST", output_name: "PRESENT", data_type: "TYPE_INT32", dims: [-1], initial_state: [{ name: "none", data_type: "TYPE_INT32", dims: [0], zero_data: true }] }] } }),
    });
    const tell = async (value: number, id: string, flags = ""): Promise<unknown> => valuesOf(await executor.infer(request(value, place(id, flags)), contextOf()))["OUTPUT"];

    const [a, b] = [[tell(1, "a", "^"), tell(2, "a"), tell(3, "a")], [tell(7, "b", "^"), tell(8, "b")]];
    assert.deepEqual([await Promise.all(a), await Promise.all(b)], [[[1], [1, 2], [1, 2, 3]], [[7], [7, 8]]]);
  });

  it("need an id", async () => {
    const { executor } = await serve(simpleSequenceModel());

    await assert.rejects(executor.infer(request(1, undefined), contextOf()), failsAs("SEQUENCE_ID_REQUIRED", "inference request to model 'm' must specify a non-zero or non-empty correlation ID"));
  });

  it("need START", async () => {
    const { executor } = await serve(simpleSequenceModel());

    await assert.rejects(send(executor, 1, "9"), failsAs("SEQUENCE_NOT_STARTED", "inference request for sequence 9 to model 'm' must specify the START flag on the first request of the sequence"));
  });

  it("take one row a request", async () => {
    const { executor } = await serve(simpleSequenceModel());
    const two = requestOf([{ name: "INPUT", ...tensorOf("INT32", [2, 1], [1, 2]) }], { batchSize: 2, sequence: place("1", "^") });

    await assert.rejects(executor.infer(two, contextOf()), failsAs("SHAPE_MISMATCH", "must specify batch-size 1 due to requirements of sequence batcher"));
  });

  it("are forgotten when idle", async () => {
    const { executor } = await serve(accumulatorModel(), { sequence_batching: { max_sequence_idle_microseconds: 20_000, direct: {}, state: [{ input_name: "SUM", output_name: "NEXT_SUM", data_type: "TYPE_INT32", dims: [1] }] } });
    await send(executor, 1, "1", "^");
    while (executor.sequenceCount > 0) await new Promise((resolve) => setTimeout(resolve, 5));

    await assert.rejects(send(executor, 1, "1"), failsAs("SEQUENCE_NOT_STARTED"));
  });

  it("end when one of their requests is cancelled", async () => {
    const { executor } = await serve(accumulatorModel());
    const abort = new AbortController();
    await send(executor, 1, "1", "^");
    const waiting = [send(executor, 1, "1", "", abort.signal), send(executor, 1, "1")];
    abort.abort();
    const [cancelled, behind] = await Promise.allSettled(waiting);

    assert.equal(cancelled?.status === "rejected" && (cancelled.reason as StatusError).reason, "CANCELLED");
    assert.equal(behind?.status === "rejected" && (behind.reason as StatusError).reason, "SEQUENCE_ABORTED");
    await assert.rejects(send(executor, 1, "1"), failsAs("SEQUENCE_NOT_STARTED"));
  });

  it("do not end when the signal of an answered request is aborted", async () => {
    const { executor } = await serve(accumulatorModel());
    const abort = new AbortController();
    await send(executor, 1, "1", "^", abort.signal);
    abort.abort();

    assert.equal(await send(executor, 1, "1"), 2);
  });

  it("keep their state when the engine dies", async () => {
    const { executor, pids } = await serve(accumulatorModel());
    await send(executor, 5, "1", "^");
    process.kill(pids[0] ?? 0, "SIGKILL");
    let sum: unknown;
    while (sum === undefined) {
      sum = await send(executor, 5, "1").catch((error: unknown) => (failsAs("ENGINE_CRASHED")(error), undefined));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }

    assert.equal(sum, 10);
  });
});

describe("the settings of sequences are refused", () => {
  const graph = signatureOf(readModel(simpleDynaSequenceModel().model));
  const control = (name: string, what: object) => ({ control_input: [{ name, control: [what] }] });
  const others = (...names: string[]) => names.map((name) => ({ name, data_type: name === "CORRID" ? "TYPE_UINT64" : "TYPE_INT32", dims: [1] }));
  const all = ["INPUT", "START", "END", "READY", "CORRID"];
  const cases = [
    { what: "a control of two values that are none", batching: { direct: {}, ...control("START", { kind: "CONTROL_SEQUENCE_START" }) }, own: "START", message: /control_input\[0\]\.control\[0\]: of "START" needs one of int32_false_true/ },
    { what: "a control of another datatype", batching: { direct: {}, ...control("START", { kind: "CONTROL_SEQUENCE_START", fp32_false_true: [0, 1] }) }, own: "START", message: /"START" of the graph is INT32, not FP32/ },
    { what: "an id of another datatype", batching: { direct: {}, ...control("CORRID", { kind: "CONTROL_SEQUENCE_CORRID", data_type: "TYPE_STRING" }) }, own: "CORRID", message: /"CORRID" of the graph is UINT64, not BYTES/ },
    { what: "oldest without candidates", batching: { oldest: {} }, own: "", message: /oldest\.max_candidate_sequences: must be 1 or more/ },
    { what: "an iterative sequence", batching: { direct: {}, iterative_sequence: true }, own: "", message: /iterative_sequence: is not served/ },
    { what: "a state file outside of its folder", batching: { direct: {}, state: [{ input_name: "START", output_name: "OUTPUT", data_type: "TYPE_INT32", dims: [1], initial_state: [{ name: "x", data_type: "TYPE_INT32", dims: [1], data_file: "../model.onnx" }] }] }, own: "START", message: /must stay in the folder initial_state/ },
  ];
  for (const { what, batching, own, message } of cases) {
    it(`because of ${what}`, async () => {
      const config = modelConfigOf("m", graph, JSON.stringify({ max_batch_size: 8, sequence_batching: batching, input: others(...all.filter((name) => name !== own)), output: [{ name: "OUTPUT", data_type: "TYPE_INT32", dims: [1] }] }));

      await assert.rejects(readSequenceSettings(config, graph, directory.path), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && message.test(error.message) || assert.fail(String(error)));
    });
  }
});
