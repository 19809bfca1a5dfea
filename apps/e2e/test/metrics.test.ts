import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { addSubModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

const row = Array<number>(16).fill(1);

describe("the metrics endpoint", () => {
  it("tells every replica's inferences under Triton's names, counted as Triton counts, with true histograms", { timeout: 60_000 }, async () => {
    await using platform = await TestPlatform.create({ replicas: 2 });
    using directory = tempDir();
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file, servingConfigJson: JSON.stringify({ max_batch_size: 8 }) });
    await platform.client.deployments.deploy({ model: "simple", replicas: 2 });
    const infer = (datatype: string, rows = 1): Promise<Response> =>
      platform.fetch("/v2/models/simple/infer", { method: "POST", body: JSON.stringify({ inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype, shape: [rows, 16], data: Array.from({ length: rows }, () => row) })) }) });
    for (let call = 0; call < 10; call++) assert.equal((await infer("INT32", 2)).status, 200);

    const text = await (await fetch(`http://${platform.platform.metricsAddress}/metrics`)).text();

    const total = (name: string): number => [...text.matchAll(new RegExp(`^${name}\\{[^}]*replica="local-\\d"[^}]*\\} (\\S+)$`, "gm"))].reduce((sum, [, value]) => sum + Number(value), 0);
    assert.equal(total("nv_inference_request_success"), 10);
    assert.equal(total("nv_inference_count"), 20);
    assert.equal(total("nv_inference_exec_count"), 10);
    assert.ok(total("nv_inference_request_duration_us") >= total("nv_inference_compute_infer_duration_us"));
    assert.equal(total("nv_inference_request_duration_histogram_us_count"), 10);
    assert.equal(text.match(/^# TYPE nv_inference_count counter$/gm)?.length, 1);
    assert.match(text, /^servable_gateway_requests_total\{/m);
  });
});
