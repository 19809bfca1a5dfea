import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import { StatusError, type Reason } from "@servable/errors";
import { Graph, add, buildModel, readModel, signatureOf } from "@servable/onnx";
import { startEngineProcess, type NamedTensor } from "@servable/runtime";
import { createRateLimiter } from "@servable/scheduling";
import { encodeBytesElements, elementsOf, tensorOf } from "@servable/tensor";
import { addSubModel, identityModel, tempDir } from "@servable/testing";
import { executorFactory } from "./create-executor.ts";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import type { PipelineModels } from "./pipeline-models.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());

const CONTEXT: InferContext = { signal: new AbortController().signal, deadline: undefined, project: "p", requestId: "r" };
const requestOf = (inputs: NamedTensor[], change: Partial<InferRequest> = {}): InferRequest => ({ id: "", inputs, outputs: [], batchSize: 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined, ...change });
const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && (error.reason === want || assert.fail(error.message));

const rateLimiter = createRateLimiter([{ name: "R", count: 4 }]);

let files = 0;
/** The executor that a version with this graph and configuration would get, over real engine processes. */
async function executorOf(bytes: Uint8Array, config: MessageInitShape<typeof ModelConfigSchema>, runMsMax = 60_000): Promise<Executor> {
  const folder = join(directory.path, String(files++));
  mkdirSync(folder);
  writeFileSync(join(folder, "model.onnx"), bytes);
  const { inputs, outputs } = signatureOf(readModel(bytes));
  const create_ = executorFactory({ startEngine: startEngineProcess, session: { intraOpThreads: 1, executionProviders: ["cpu"], runMsMax }, rateLimiter, tasks: () => assert.fail("no graph"), onCrash: () => {} });
  return create_(folder, { deployment: "projects/p/deployments/m", name: "m", version: 1, etag: "", signature: { inputs, outputs }, config: create(ModelConfigSchema, config) }, () => {}, NO_MODELS);
}
const NO_MODELS: PipelineModels = { resolve: () => assert.fail("no pipeline"), changed: async () => {} };
const row = (value: number, rows = 1): NamedTensor[] => ["INPUT0", "INPUT1"].map((name) => ({ name, ...tensorOf("INT32", [rows, 16], Array<number>(rows * 16).fill(value)) }));
const first = ({ outputs }: InferResult): unknown => elementsOf(outputs[0] as NamedTensor)[0];

describe("batching executor", () => {
  it("runs requests of many callers in few batches and gives each its own rows", async () => {
    await using executor = await executorOf(addSubModel(), { maxBatchSize: 8 });

    const results = await Promise.all(Array.from({ length: 64 }, (_, index) => executor.infer(requestOf(row(index, 1 + (index % 3)), { batchSize: 1 + (index % 3) }), CONTEXT)));

    assert.deepEqual(results.map(first), Array.from({ length: 64 }, (_, index) => 2 * index));
    assert.deepEqual(results.map(({ outputs }) => outputs[0]?.shape[0]), Array.from({ length: 64 }, (_, index) => 1 + (index % 3)));
    const executions = results.filter(({ timings }) => timings.countsExecution);
    assert.ok(executions.length < 40, `${executions.length} runs for 64 requests`);
    assert.ok(results.every(({ timings }) => timings.executedBatchSize <= 8));
    assert.equal(executions.reduce((sum, { timings }) => sum + timings.executedBatchSize, 0), 128 - 1);
  });

  it("batches by itself when the graph calls its first dimension a batch, and takes requests of any size", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", ["batch", 2]);
    await using executor = await executorOf(buildModel({ graph, outputs: { y: add(graph, x, x) } }), {});
    const of = (rows: number): NamedTensor[] => [{ name: "x", ...tensorOf("FP32", [rows, 2], Array<number>(rows * 2).fill(rows)) }];

    const results = await Promise.all([1, 2, 100, 3].map((rows) => executor.infer(requestOf(of(rows)), CONTEXT)));

    assert.deepEqual(results.map(first), [2, 4, 200, 6]);
    assert.ok(results.some(({ timings }) => timings.executedBatchSize > 100 || timings.executedBatchSize === 3), "nothing was batched");
  });

  it("answers only the outputs that each caller wants", async () => {
    await using executor = await executorOf(addSubModel(), { maxBatchSize: 8 });

    const [sum, difference, both] = await Promise.all([["OUTPUT0"], ["OUTPUT1"], []].map((outputs) => executor.infer(requestOf(row(3), { outputs }), CONTEXT)));

    assert.deepEqual([sum, difference, both].map((result) => result?.outputs.map(({ name }) => name)), [["OUTPUT0"], ["OUTPUT1"], ["OUTPUT0", "OUTPUT1"]]);
  });

  it("cuts texts apart where their rows end", async () => {
    await using executor = await executorOf(identityModel("BYTES"), { maxBatchSize: 8 });
    const of = (...texts: string[]): NamedTensor[] => [{ name: "INPUT0", datatype: "BYTES", shape: [texts.length / 2, 2], data: encodeBytesElements(texts.map((text) => Buffer.from(text))) }];

    const results = await Promise.all([of("a", "bcd"), of("", "x", "yy", "zzz"), of("last", "")].map((inputs) => executor.infer(requestOf(inputs), CONTEXT)));

    assert.deepEqual(results.map(({ outputs }) => elementsOf(outputs[0] as NamedTensor).map((each) => Buffer.from(each as Uint8Array).toString())), [["a", "bcd"], ["", "x", "yy", "zzz"], ["last", ""]]);
  });

  it("lets a request that fails touch no other of its batch", async () => {
    const graph = new Graph();
    const ids = graph.input("ids", "INT64", ["batch"]);
    const table = graph.constant("FP32", [3, 1], [10, 20, 30]);
    await using executor = await executorOf(buildModel({ graph, outputs: { y: graph.node("Gather", [table, ids], { datatype: "FP32", shape: ["batch", 1] }) } }), { maxBatchSize: 8 });
    const of = (id: bigint): NamedTensor[] => [{ name: "ids", ...tensorOf("INT64", [1], [id]) }];

    const results = await Promise.allSettled([0n, 99n, 2n].map((id) => executor.infer(requestOf(of(id)), CONTEXT)));

    assert.deepEqual(results.map((result) => (result.status === "fulfilled" ? first(result.value) : (result.reason as StatusError).reason)), [10, "INFERENCE_FAILED", 30]);
  });

  it("goes on one by one when the model turns out not to batch", async () => {
    const graph = new Graph();
    const x = graph.input("x", "FP32", ["batch"]);
    const sum = graph.node("ReduceSum", [x], { datatype: "FP32", shape: [1] });
    await using executor = await executorOf(buildModel({ graph, outputs: { y: sum } }), { maxBatchSize: 8 });
    const of = (value: number): NamedTensor[] => [{ name: "x", ...tensorOf("FP32", [1], [value]) }];

    for (let round = 0; round < 2; round++) {
      const results = await Promise.all([1, 2, 3].map((value) => executor.infer(requestOf(of(value)), CONTEXT)));
      assert.deepEqual(results.map(first), [1, 2, 3]);
    }
  });

  it("answers in the order of the requests when the model wants it", async () => {
    await using executor = await executorOf(addSubModel(), { maxBatchSize: 1, instanceGroup: [{ count: 2 }], schedulingChoice: { case: "dynamicBatching", value: { preserveOrdering: true } } });
    const order: number[] = [];

    await Promise.all(Array.from({ length: 20 }, (_, index) => executor.infer(requestOf(row(index)), CONTEXT).then(() => order.push(index))));

    assert.deepEqual(order, Array.from({ length: 20 }, (_, index) => index));
  });

  it("ends a call whose caller has gone", async () => {
    await using executor = await executorOf(addSubModel(), { maxBatchSize: 8 });
    const abort = new AbortController();
    const call = executor.infer(requestOf(row(1)), { ...CONTEXT, signal: abort.signal });
    abort.abort(new StatusError("CANCELLED", "gone"));

    await assert.rejects(call, reason("CANCELLED"));
    assert.equal(first(await executor.infer(requestOf(row(2)), CONTEXT)), 4);
  });

  it("loses one instance and serves by the other; the lost one comes back", async () => {
    await using executor = await executorOf(addSubModel(), { maxBatchSize: 1, instanceGroup: [{ count: 2 }] });
    const [lost] = executor.pids;
    process.kill(lost ?? 0, "SIGKILL");
    while (executor.pids.length === 2 && executor.pids.includes(lost ?? 0)) await new Promise((resolve) => setTimeout(resolve, 5));

    for (let index = 0; index < 20; index++) assert.equal(first(await executor.infer(requestOf(row(index)), CONTEXT)), 2 * index);
    while (executor.pids.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(executor.restartCount, 1);
  });

  it("runs only while it holds the resources that its instances name, and holds them for one run at a time", async () => {
    const group = (count: number) => [{ count: 2, rateLimiter: { resources: [{ name: "R", count }] } }];
    await using executor = await executorOf(addSubModel(), { maxBatchSize: 1, instanceGroup: group(3) });
    const held: number[] = [];
    const watch = setInterval(() => held.push(rateLimiter.usage().find(({ name }) => name === "R")?.held ?? 0), 0);

    const results = await Promise.all(Array.from({ length: 40 }, (_, index) => executor.infer(requestOf(row(index)), CONTEXT)));
    clearInterval(watch);

    assert.deepEqual(results.map(first), Array.from({ length: 40 }, (_, index) => 2 * index));
    assert.ok(held.every((count) => count === 0 || count === 3), `held ${held.join(" ")}`);
    assert.equal(rateLimiter.usage().find(({ name }) => name === "R")?.held ?? 0, 0);
    await assert.rejects(executorOf(addSubModel(), { instanceGroup: group(5) }), reason("MODEL_LOAD_FAILED"));
  });
});
