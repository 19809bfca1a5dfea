import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SpanRecord } from "@servable/telemetry";
import { renderTraceTree } from "./trace-tree.ts";

function span(spanId: string, parentSpanId: string | undefined, service: string, name: string, startMs: number, endMs: number, ok = true): SpanRecord {
  const nanos = (ms: number): string => (1_700_000_000_000_000_000n + BigInt(ms) * 1_000_000n).toString();
  return { traceId: "t", spanId, ...(parentSpanId === undefined ? {} : { parentSpanId }), name, service, kind: 0, startTimeUnixNano: nanos(startMs), endTimeUnixNano: nanos(endMs), attributes: {}, ok };
}

describe("trace tree", () => {
  it("hangs children under their parents by start time, each with its place in time", () => {
    const text = renderTraceTree([
      span("d", "c", "inference", "engine run", 4, 8),
      span("c", "a", "inference", "ModelInfer", 2, 10),
      span("b", "a", "gateway", "route", 0, 1),
      span("a", undefined, "gateway", "POST :predict", 0, 12),
    ]);

    assert.deepEqual(text.split("\n"), [
      "POST :predict     gateway       12.00 ms  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇",
      "├─ route          gateway        1.00 ms  ▇▇                      ",
      "└─ ModelInfer     inference      8.00 ms      ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇    ",
      "   └─ engine run  inference      4.00 ms          ▇▇▇▇▇▇▇▇        ",
    ]);
  });

  it("shows a span whose parent is elsewhere at the top, and marks failures", () => {
    const text = renderTraceTree([span("a", "caller", "gateway", "predict", 0, 5, false)]);

    assert.match(text, /^predict {2}gateway .* failed$/);
  });

  it("draws nothing for no spans", () => {
    assert.equal(renderTraceTree([]), "");
  });
});
