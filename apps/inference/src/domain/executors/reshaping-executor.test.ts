import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Executor, InferRequest } from "./executor.ts";
import { clientSignatureOf, modelConfigOf } from "../config/model-config.ts";
import type { Signature } from "../config/signature.ts";
import { withConfiguredShapes } from "./reshaping-executor.ts";

const context = { signal: new AbortController().signal, deadline: undefined, project: "p", requestId: "" };
const request = (inputs: InferRequest["inputs"]): InferRequest => ({ id: "", inputs, outputs: [], batchSize: 2, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined });
const tensor = (name: string, shape: number[]) => ({ name, datatype: "FP32" as const, shape, data: new Uint8Array(shape.reduce((a, b) => a * b, 4)) });

/** An executor that answers tensors of these shapes, and remembers what it was asked. */
function answering(outputs: Record<string, number[]>, seen: InferRequest[]): Executor {
  return {
    pids: [1], restartCount: 0, queueLength: 0,
    infer: (asked) => {
      seen.push(asked);
      return Promise.resolve({ outputs: Object.entries(outputs).map(([name, shape]) => tensor(name, shape)), timings: { queueNs: 0, inputNs: 0, inferNs: 0, outputNs: 0, executedBatchSize: 2, countsExecution: true } });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

describe("configured shapes", () => {
  it("reach the graph as its own and come back as the configuration's, sizes that vary in their order", async () => {
    const graph: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [-1, -1, 8, -1] }], outputs: [{ name: "y", datatype: "FP32", shape: [-1, -1, 4] }, { name: "hidden", datatype: "FP32", shape: [-1] }] };
    const config = modelConfigOf("m", graph, '{"max_batch_size": 8, "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 2, 4, -1], "reshape": {"shape": [-1, 8, -1]}}], "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1, 2, 2], "reshape": {"shape": [-1, 4]}}]}');
    const seen: InferRequest[] = [];

    const { outputs } = await withConfiguredShapes(answering({ y: [2, 7, 4] }, seen), config, graph).infer(request([tensor("x", [2, 3, 2, 4, 5])]), context);

    assert.deepEqual([seen[0]?.inputs[0]?.shape, seen[0]?.outputs], [[2, 3, 8, 5], ["y"]]);
    assert.deepEqual(outputs.map(({ name, shape }) => [name, shape]), [["y", [2, 7, 2, 2]]]);
  });

  it("show the single value of each element of a batch as a tensor of one, as Triton completes it", async () => {
    const graph: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [-1] }], outputs: [{ name: "y", datatype: "FP32", shape: [-1] }] };
    const config = modelConfigOf("m", graph, '{"max_batch_size": 8}');
    const seen: InferRequest[] = [];

    const { outputs } = await withConfiguredShapes(answering({ y: [2] }, seen), config, graph).infer(request([tensor("x", [2, 1])]), context);

    assert.deepEqual([clientSignatureOf(config).inputs[0]?.shape, seen[0]?.inputs[0]?.shape, outputs[0]?.shape], [[-1, 1], [2], [2, 1]]);
  });

  it("cost nothing where the graph has the same", () => {
    const graph: Signature = { inputs: [{ name: "x", datatype: "FP32", shape: [-1, 3] }], outputs: [{ name: "y", datatype: "FP32", shape: [-1, 3] }] };
    const executor = answering({}, []);

    assert.equal(withConfiguredShapes(executor, modelConfigOf("m", graph, '{"max_batch_size": 8}'), graph), executor);
  });
});
