import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Graph, buildModel, cast, identity } from "@servable/onnx";
import { startEngineProcess } from "@servable/runtime";
import { elementsOf, tensorOf } from "@servable/tensor";
import { tempDir } from "@servable/testing";
import { bf16Engines, usesBf16 } from "./bf16-engine.ts";

const signature = { inputs: [{ name: "x", datatype: "BF16" as const, shape: [-1, 2] }], outputs: [{ name: "same", datatype: "BF16" as const, shape: [-1, 2] }, { name: "wide", datatype: "FP32" as const, shape: [-1, 2] }] };

describe("a model with BF16", () => {
  it("runs with the same bits in and out", async () => {
    using directory = tempDir();
    const path = join(directory.path, "model.onnx");
    const graph = new Graph();
    const x = graph.input("x", "BF16", ["batch", 2]);
    writeFileSync(path, buildModel({ graph, outputs: { same: identity(graph, x), wide: cast(graph, x, "FP32", 1) } }));
    assert.ok(usesBf16(signature));
    await using engine = await bf16Engines(startEngineProcess, signature)({ path, model: "m" });
    const sent = tensorOf("BF16", [2, 2], [1.5, -0, Infinity, 3.140625]);

    const { outputs } = await engine.run([{ name: "x", ...sent, data: [sent.data.subarray(0, 4), sent.data.subarray(4)] }], []);

    assert.deepEqual(outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape })), [{ name: "same", datatype: "BF16", shape: [2, 2] }, { name: "wide", datatype: "FP32", shape: [2, 2] }]);
    assert.deepEqual(Buffer.from(outputs[0]?.data ?? []), Buffer.from(sent.data));
    assert.deepEqual(elementsOf(outputs[1] ?? sent), [1.5, -0, Infinity, 3.140625]);
    assert.deepEqual((await engine.run([{ name: "x", ...sent }], ["wide"])).outputs.map(({ name }) => name), ["wide"]);
  });
});
