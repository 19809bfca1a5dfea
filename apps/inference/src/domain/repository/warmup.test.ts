import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import type { Executor, InferContext, InferRequest } from "../executors/executor.ts";
import { modelConfigOf } from "../config/model-config.ts";
import type { Signature } from "../config/signature.ts";
import { warmUp } from "./warmup.ts";

const signature: Signature = {
  inputs: [{ name: "ids", datatype: "INT32", shape: [-1, -1] }, { name: "text", datatype: "BYTES", shape: [-1, 1] }],
  outputs: [{ name: "y", datatype: "FP32", shape: [-1, 2] }],
};
const IDS = '"ids": {"data_type": "TYPE_INT32", "dims": [2], "zero_data": true}';
const TEXT = '"text": {"data_type": "TYPE_STRING", "dims": [1], "random_data": true}';

/** Runs the samples of a configuration and answers the requests that came of them. */
async function requestsOf(settings: string, { folder = "/nowhere", run = () => {} }: { folder?: string; run?: (request: InferRequest, context: InferContext) => void } = {}): Promise<InferRequest[]> {
  const requests: InferRequest[] = [];
  const executor = {
    infer: (request: InferRequest, context: InferContext) => {
      requests.push(request);
      run(request, context);
      return Promise.resolve({ outputs: [], timings: {} });
    },
  } as unknown as Executor;
  await warmUp(executor, { deployment: "projects/p/deployments/m", name: "m", version: 1, etag: "", signature, config: modelConfigOf("m", signature, settings) }, folder, () => 0.5);
  return requests;
}

const sample = (fields: string, more = ""): string => `{"max_batch_size": 4, "model_warmup": [{"name": "s", ${fields}}]${more}}`;

describe("warm-up", () => {
  it("sends a batch of the sample as often as it says, to every instance", async () => {
    const requests = await requestsOf(sample(`"batch_size": 3, "count": 2, "inputs": {${IDS}, ${TEXT}}`, ', "instance_group": [{"count": 2}]'));

    assert.equal(requests.length, 4);
    assert.deepEqual(requests[0]?.inputs.map(({ name, shape, data }) => [name, shape, data.length]), [["ids", [3, 2], 24], ["text", [3, 1], 3 * (4 + "i".length)]]);
  });

  it("takes data from the version's files", async () => {
    using directory = tempDir();
    mkdirSync(join(directory.path, "warmup"));
    writeFileSync(join(directory.path, "warmup/ids"), Buffer.from(Int32Array.of(7, 8).buffer));

    const [request] = await requestsOf(sample(`"batch_size": 2, "inputs": {"ids": {"data_type": "TYPE_INT32", "dims": [2], "input_data_file": "ids"}, ${TEXT}}`), { folder: directory.path });

    assert.deepEqual(new Int32Array(Uint8Array.from(request?.inputs[0]?.data ?? []).buffer), Int32Array.of(7, 8, 7, 8));
  });

  it("makes of a batch as many whole sequences where the model keeps them apart", async () => {
    const requests = await requestsOf(sample(`"batch_size": 2, "inputs": {${IDS}, ${TEXT}}`, ', "sequence_batching": {"direct": {}}'));

    assert.deepEqual(requests.map(({ batchSize, sequence }) => [batchSize, sequence]), [1, 2].map((id) => [1, { id: String(id), numericId: BigInt(id), start: true, end: true }]));
  });

  it("says which sample failed and why", async () => {
    const failing = requestsOf(sample(`"batch_size": 1, "inputs": {${IDS}, ${TEXT}}`), { run: () => { throw new StatusError("INFERENCE_FAILED", "onnxruntime: index out of range"); } });

    await assert.rejects(failing, (error: unknown) => error instanceof StatusError && error.reason === "INFERENCE_FAILED" && error.message === 'model_warmup[0] "s": onnxruntime: index out of range');
  });

  const mistakes = [
    [`"inputs": {${IDS}, ${TEXT}}`, "model_warmup[0].batch_size"],
    [`"batch_size": 5, "inputs": {${IDS}, ${TEXT}}`, "model_warmup[0].batch_size"],
    [`"batch_size": 1, "count": 1000000, "inputs": {${IDS}, ${TEXT}}`, "model_warmup[0].count"],
    [`"batch_size": 1, "inputs": {${IDS}}`, "model_warmup[0].inputs"],
    [`"batch_size": 1, "inputs": {${IDS}, ${TEXT}, "q": {"zero_data": true}}`, 'model_warmup[0].inputs["q"]'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT64", "dims": [2], "zero_data": true}}`, 'model_warmup[0].inputs["ids"].data_type'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [2, 2], "zero_data": true}}`, 'model_warmup[0].inputs["ids"].dims'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [-1], "zero_data": true}}`, 'model_warmup[0].inputs["ids"].dims'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [1000000000], "zero_data": true}}`, 'model_warmup[0].inputs["ids"].dims'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [2]}}`, 'model_warmup[0].inputs["ids"]'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [2], "input_data_file": "none"}}`, 'model_warmup[0].inputs["ids"].input_data_file'],
    [`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [2], "input_data_file": "../ids"}}`, 'model_warmup[0].inputs["ids"].input_data_file'],
  ] as const;
  for (const [fields, field] of mistakes) {
    it(`refuses a sample whose ${field.replace("model_warmup[0].", "")} is wrong: ${fields.slice(0, 60)}…`, () => assert.rejects(requestsOf(sample(fields)), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && (assert.equal(error.metadata["field"], field), true)));
  }

  it("refuses a file of another size", async () => {
    using directory = tempDir();
    mkdirSync(join(directory.path, "warmup"));
    writeFileSync(join(directory.path, "warmup/ids"), "short");

    await assert.rejects(requestsOf(sample(`"batch_size": 1, "inputs": {${TEXT}, "ids": {"data_type": "TYPE_INT32", "dims": [2], "input_data_file": "ids"}}`), { folder: directory.path }), /does not hold what dims ask for/);
  });
});
