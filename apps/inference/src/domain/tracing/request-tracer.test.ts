import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { tensorOf } from "@servable/tensor";
import { tempDir } from "@servable/testing";
import type { InferObservation } from "../requests/infer-stats.ts";
import { LoadedModel } from "../repository/loaded-model.ts";
import { modelConfigOf } from "../config/model-config.ts";
import { RequestTracer } from "./request-tracer.ts";
import { TraceSettings } from "./trace-settings.ts";

const signature = { inputs: [], outputs: [] };
const modelOf = (name: string) => new LoadedModel({ deployment: `projects/p/deployments/${name}`, name, version: 3, etag: "", signature, config: modelConfigOf(name, signature) }, () => {});
const timings = { queueNs: 100, inputNs: 20, inferNs: 300, outputNs: 40, executedBatchSize: 1, countsExecution: true };
const input = { name: "x", ...tensorOf("INT32", [1, 2], [7, 8]) };
const request = { id: "r1", inputs: [input], outputs: [], batchSize: 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined };
const ended: InferObservation = { ok: true, batchSize: 1, totalNs: 1_000, timings, request, result: { outputs: [{ ...input, name: "y" }], timings } };

describe("request tracer", () => {
  it("writes the stages of a request in Triton's form, and its tensors where asked", () => {
    using directory = tempDir();
    const file = join(directory.path, "trace.json");
    const settings = new TraceSettings({ trace_file: file, trace_level: ["TIMESTAMPS", "TENSORS"], trace_rate: "1", trace_count: "1", log_frequency: "0", trace_mode: "triton" });
    const tracer = new RequestTracer(settings, (error) => assert.ifError(error));

    tracer.observe(modelOf("m"), ended);
    tracer.observe(modelOf("m"), ended);

    const [head, queued, answered, ...rest] = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(rest, [], "only one trace was to be written");
    assert.deepEqual([head?.["model_name"], head?.["model_version"], head?.["request_id"]], ["m", 3, "r1"]);
    const times = Object.fromEntries((head?.["timestamps"] as { name: string; ns: number }[]).map(({ name, ns }) => [name, ns]));
    assert.ok((times["COMPUTE_END"] ?? 0) <= (times["REQUEST_END"] ?? 0) && (times["REQUEST_START"] ?? 0) < (times["COMPUTE_START"] ?? 0));
    assert.deepEqual(queued?.["tensor"], { name: "x", data: "7,8", shape: "1,2", dtype: "INT32" });
    assert.equal(answered?.["activity"], "TENSOR_BACKEND_OUTPUT");
  });

  it("leaves spans of a model alone unless the model was given settings of its own", () => {
    using directory = tempDir();
    const file = join(directory.path, "trace.json");
    const settings = new TraceSettings({ trace_file: file, trace_level: ["OFF"], trace_rate: "1", trace_count: "-1", log_frequency: "0", trace_mode: "triton" });
    const tracer = new RequestTracer(settings, (error) => assert.ifError(error));
    settings.update("projects/p/deployments/own", { trace_level: ["TIMESTAMPS"], trace_rate: ["2"] });

    assert.equal(tracer.observe(modelOf("other"), ended), true);
    assert.equal(existsSync(file), false);
    assert.deepEqual([1, 2, 3, 4].map(() => tracer.observe(modelOf("own"), ended)), [false, true, false, true]);
  });
});
