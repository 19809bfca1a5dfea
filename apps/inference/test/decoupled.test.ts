import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import type { NamedTensor } from "@servable/runtime";
import { tensorOf } from "@servable/tensor";
import { DECOUPLED_PARAMETER, DecoupledExecutor, readDecoupledSettings, type DecoupledSettings } from "../src/domain/executors/decoupled-executor.ts";
import type { Executor, InferRequest } from "../src/domain/executors/executor.ts";
import { modelConfigOf } from "../src/domain/config/model-config.ts";
import type { Signature } from "../src/domain/config/signature.ts";
import { contextOf, namedTensor, requestOf, valuesOf } from "./support/fake-step-model.ts";

/** One run that gives these outputs. */
function runOf(outputs: readonly NamedTensor[]): Executor & { readonly requests: InferRequest[] } {
  const requests: InferRequest[] = [];
  return {
    pids: [1],
    restartCount: 0,
    queueLength: 0,
    requests,
    infer: async (request) => {
      requests.push(request);
      const wanted = request.outputs.length === 0 ? outputs : outputs.filter(({ name }) => request.outputs.includes(name));
      return { outputs: wanted, timings: { queueNs: 5, inputNs: 1, inferNs: 2, outputNs: 3, executedBatchSize: 1, countsExecution: true } };
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

const OUT = namedTensor("OUT", "INT32", [4, 5, 6]);
const IDX = namedTensor("IDX", "UINT32", [0, 1, 2]);
const ROWS: DecoupledSettings = { axis: 0, delay: undefined };

describe("a decoupled model", () => {
  it("answers once for each row of its outputs, in order, and says which is the last", async () => {
    const answers = await Array.fromAsync(new DecoupledExecutor(runOf([OUT, IDX]), ROWS).inferStream(requestOf([]), contextOf()));

    assert.deepEqual(answers.map(valuesOf), [{ OUT: [4], IDX: [0] }, { OUT: [5], IDX: [1] }, { OUT: [6], IDX: [2] }]);
    assert.deepEqual(answers.map(({ isFinal }) => isFinal), [false, false, true]);
    assert.deepEqual(answers[0]?.outputs[0]?.shape, [1]);
  });

  it("counts its one run once", async () => {
    const answers = await Array.fromAsync(new DecoupledExecutor(runOf([OUT]), ROWS).inferStream(requestOf([]), contextOf()));

    assert.deepEqual(answers.map(({ timings }) => [timings.countsExecution, timings.inferNs]), [[true, 2], [false, 0], [false, 0]]);
  });

  it("gives no answer for no rows", async () => {
    assert.deepEqual(await Array.fromAsync(new DecoupledExecutor(runOf([namedTensor("OUT", "INT32", [])]), ROWS).inferStream(requestOf([]), contextOf())), []);
  });

  it("cuts along another axis", async () => {
    const matrix = { name: "OUT", ...tensorOf("INT32", [2, 2], [1, 2, 3, 4]) };

    const answers = await Array.fromAsync(new DecoupledExecutor(runOf([matrix]), { ...ROWS, axis: 1 }).inferStream(requestOf([]), contextOf()));

    assert.deepEqual(answers.map(valuesOf), [{ OUT: [1, 3] }, { OUT: [2, 4] }]);
  });

  it("refuses a call that wants one answer, in the words of the protocol's clients", async () => {
    await assert.rejects(new DecoupledExecutor(runOf([OUT]), ROWS).infer(), (error: unknown) => error instanceof StatusError && error.code === "UNIMPLEMENTED" && error.message.startsWith("ModelInfer RPC doesn't support models with decoupled transaction policy"));
  });

  it("waits before each answer as an input says", async () => {
    const executor = new DecoupledExecutor(runOf([OUT]), { axis: 0, delay: { role: "input", name: "DELAY" } });
    const began = performance.now();
    const atMs: number[] = [];
    for await (const _ of executor.inferStream(requestOf([namedTensor("DELAY", "UINT32", [0, 30, 30])]), contextOf())) atMs.push(performance.now() - began);

    // Timers are never early by more than a millisecond each; how late they are is not ours to say.
    assert.ok((atMs[1] ?? 0) >= 28 && (atMs[2] ?? 0) >= 56, atMs.join());
  });

  it("asks for the output that says how long to wait, and keeps it to itself when nobody wanted it", async () => {
    const run = runOf([OUT, namedTensor("PAUSE", "INT32", [0, 1, 0])]);
    const executor = new DecoupledExecutor(run, { axis: 0, delay: { role: "output", name: "PAUSE" } });

    const answers = await Array.fromAsync(executor.inferStream(requestOf([], { outputs: ["OUT"] }), contextOf()));

    assert.deepEqual(run.requests[0]?.outputs, ["OUT", "PAUSE"]);
    assert.deepEqual(answers.map(valuesOf), [{ OUT: [4] }, { OUT: [5] }, { OUT: [6] }]);
  });

  it("stops between two answers when it is cancelled", async () => {
    const abort = new AbortController();
    const executor = new DecoupledExecutor(runOf([OUT]), { axis: 0, delay: { role: "input", name: "DELAY" } });
    const seen: unknown[] = [];

    await assert.rejects(async () => {
      for await (const answer of executor.inferStream(requestOf([namedTensor("DELAY", "UINT32", [0, 600_000, 0])]), contextOf(abort.signal))) {
        seen.push(valuesOf(answer));
        abort.abort();
      }
    }, (error: unknown) => error instanceof StatusError && error.reason === "CANCELLED");
    assert.deepEqual(seen, [{ OUT: [4] }]);
  });

  it("refuses outputs of different lengths and delays that are none", async () => {
    const uneven = new DecoupledExecutor(runOf([OUT, namedTensor("IDX", "UINT32", [0])]), ROWS);
    const late = new DecoupledExecutor(runOf([OUT]), { axis: 0, delay: { role: "input", name: "DELAY" } });

    await assert.rejects(Array.fromAsync(uneven.inferStream(requestOf([]), contextOf())), (error: unknown) => error instanceof StatusError && error.reason === "INFERENCE_FAILED" && /output 'IDX' has the shape \[1\]/.test(error.message));
    await assert.rejects(Array.fromAsync(late.inferStream(requestOf([namedTensor("DELAY", "INT32", [-1, 0, 0])]), contextOf())), (error: unknown) => error instanceof StatusError && error.reason === "VALUE_OUT_OF_RANGE");
  });
});

describe("the settings of a decoupled model", () => {
  const signature: Signature = { inputs: [{ name: "DELAY", datatype: "UINT32", shape: [-1] }, { name: "TEXT", datatype: "BYTES", shape: [-1] }], outputs: [{ name: "OUT", datatype: "INT32", shape: [-1] }] };
  const read = (text: string) => readDecoupledSettings(modelConfigOf("m", signature, JSON.stringify({ parameters: { [DECOUPLED_PARAMETER]: { string_value: text } } })), signature);

  it("are the first axis and no delay when nothing is said", () => {
    assert.deepEqual(readDecoupledSettings(modelConfigOf("m", signature), signature), { axis: 0, delay: undefined });
  });

  it("name an input that spaces answers out", () => {
    assert.deepEqual(read('{"axis": 0, "delay_input": "DELAY"}'), { axis: 0, delay: { role: "input", name: "DELAY" } });
  });

  const refused: readonly [string, RegExp][] = [
    ["{", /is no JSON/],
    ["[]", /must be a JSON object/],
    ['{"delay": 1}', /unknown key "delay": it takes axis, delay_input, delay_output/],
    ['{"axis": 1}', /has the axis 1, which the output "OUT" with the shape \[-1\] does not have/],
    ['{"axis": "0"}', /must be a whole number/],
    ['{"delay_input": "NOBODY"}', /names the input "NOBODY", which the graph does not have/],
    ['{"delay_input": "TEXT"}', /no milliseconds/],
    ['{"delay_input": "DELAY", "delay_output": "OUT"}', /one is enough/],
  ];
  for (const [text, message] of refused) {
    it(`refuse ${text}`, () => {
      assert.throws(() => read(text), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && message.test(error.message));
    });
  }
});
