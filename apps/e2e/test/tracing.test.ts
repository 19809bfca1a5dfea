import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
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
  it("links the caller, the gateway, inference and the engine, each the child of the one before", { timeout: 60_000 }, async () => {
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
    const chain = (): string[] => {
      const found = spans();
      const services: string[] = [];
      for (let span = found.find(({ parentSpanId }) => parentSpanId === callerSpan); span !== undefined; ) {
        services.push(span.service);
        const { spanId } = span;
        span = found.find(({ parentSpanId }) => parentSpanId === spanId);
      }
      return services;
    };
    while (chain().length < 4) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(chain(), ["gateway", "gateway", "inference", "engine"]);
  });
});
