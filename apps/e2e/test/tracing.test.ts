import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { addSubModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly service: string;
}

describe("one call's trace", () => {
  it("links the caller, the gateway and inference, each the child of the one before, and tells the stages of the request", { timeout: 60_000 }, async () => {
    await using platform = await TestPlatform.create();
    using directory = tempDir();
    const file = join(directory.path, "simple.onnx");
    writeFileSync(file, addSubModel());
    await platform.client.models.importFile({ model: "simple", file });
    await platform.client.deployments.deploy({ model: "simple" });
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const callerSpan = "b7ad6b7169203331";
    const row = Array<number>(16).fill(1);

    const answer = await platform.fetch("/v1/models/simple:predict", { method: "POST", headers: { traceparent: `00-${traceId}-${callerSpan}-01` }, body: JSON.stringify({ instances: [{ INPUT0: row, INPUT1: row }] }) });

    assert.equal(answer.status, 200);
    const spans = (): Span[] => readdirSync(platform.platform.traceDir ?? "").flatMap((name) => readFileSync(join(platform.platform.traceDir ?? "", name), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Span)).filter((span) => span.traceId === traceId);
    const childrenOf = (id: string): Span[] => spans().filter(({ parentSpanId }) => parentSpanId === id);
    const chain = (): Span[] => {
      const found: Span[] = [];
      for (let next = childrenOf(callerSpan)[0]; next !== undefined && found.length < 3; next = childrenOf(next.spanId)[0]) found.push(next);
      return found;
    };
    const stages = (): string[] => childrenOf(chain()[2]?.spanId ?? "none").map(({ name }) => name).sort();
    while (stages().length < 4) await new Promise((resolve) => setTimeout(resolve, 50));

    assert.deepEqual(chain().map(({ service }) => service), ["gateway", "gateway", "inference"]);
    assert.deepEqual(stages(), ["batch input", "engine output", "engine run", "queue"]);
  });
});

describe("OTLP export", () => {
  it("sends spans of gateway, inference and engine to the collector that the environment names", { timeout: 60_000 }, async () => {
    const bodies: Buffer[] = [];
    const collector = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        if (request.url === "/v1/traces") bodies.push(Buffer.concat(chunks));
        response.end();
      });
    }).listen(0, "127.0.0.1");
    await once(collector, "listening");
    const { port } = collector.address() as AddressInfo;
    {
      await using platform = await TestPlatform.create({ env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` } });
      using directory = tempDir();
      const file = join(directory.path, "simple.onnx");
      writeFileSync(file, addSubModel());
      await platform.client.models.importFile({ model: "simple", file });
      await platform.client.deployments.deploy({ model: "simple" });
      const row = Array<number>(16).fill(1);
      const answer = await platform.fetch("/v2/models/simple/infer", { method: "POST", body: JSON.stringify({ inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1, 16], data: row })) }) });
      assert.equal(answer.status, 200);
    }

    // What is left goes out when the services end. The names stand as text in the protobuf.
    const text = Buffer.concat(bodies).toString("latin1");
    for (const name of ["gateway", "inference", "engine", "engine run", "model-registry"]) assert.ok(text.includes(name), `no span of ${name}`);
    collector.close();
  });
});
