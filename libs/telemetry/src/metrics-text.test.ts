import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { mergeMetrics, metricsTextOf } from "./metrics-text.ts";

describe("metrics as text", () => {
  it("has Triton's counters under Triton's names and others by the convention", async () => {
    const exporter = new PrometheusExporter({ preventServerStart: true });
    const meter = new MeterProvider({ readers: [exporter] }).getMeter("test");
    meter.createCounter("nv_inference_count", { description: "Elements." }).add(3, { model: "m" });
    meter.createCounter("calls").add(1);

    const text = await metricsTextOf(exporter);

    assert.match(text, /^# TYPE nv_inference_count counter\nnv_inference_count\{model="m"\} 3$/m);
    assert.match(text, /^calls_total 1$/m);
  });

  it("tells each family once, foreign samples with their labels", () => {
    const text = (count: number): string => `# HELP x Things.\n# TYPE x counter\nx ${count}\nx{a="b"} ${count}\n`;

    assert.equal(
      mergeMetrics("# TYPE own gauge\nown 1\n", [{ labels: { replica: "r0" }, text: text(1) }, { labels: { replica: "r1" }, text: text(2) }]),
      ["# TYPE own gauge", "own 1", "", "# HELP x Things.", "# TYPE x counter", 'x{replica="r0"} 1', 'x{replica="r0",a="b"} 1', 'x{replica="r1"} 2', 'x{replica="r1",a="b"} 2', ""].join("\n"),
    );
  });
});
