import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { SpanRecord } from "@servable/telemetry";
import { foldCalls, subtreeOf } from "./span-sets.ts";

const [INTERNAL, SERVER, CLIENT] = [0, 1, 2];

function span(spanId: string, parentSpanId: string | undefined, service: string, name: string, kind: number): SpanRecord {
  return { traceId: "t", spanId, ...(parentSpanId === undefined ? {} : { parentSpanId }), name, service, kind, startTimeUnixNano: "0", endTimeUnixNano: "1", attributes: {}, ok: true };
}

const CALL = [
  span("root", undefined, "cli", "work", INTERNAL),
  span("a", "root", "cli", "Infer", CLIENT),
  span("b", "a", "gateway", "Infer", SERVER),
  span("c", "b", "gateway", "Infer", CLIENT),
  span("d", "c", "inference", "Infer", SERVER),
  span("e", "d", "engine", "run", INTERNAL),
];

describe("span sets", () => {
  it("folds the hops of one call into where it was served", () => {
    assert.deepEqual(foldCalls(CALL).map(({ spanId, parentSpanId }) => [spanId, parentSpanId]), [["root", undefined], ["d", "root"], ["e", "d"]]);
  });

  it("keeps a span that did more than call", () => {
    const spans = [...CALL, span("f", "b", "gateway", "usage", INTERNAL)];

    assert.deepEqual(foldCalls(spans).map(({ spanId }) => spanId), ["root", "b", "d", "e", "f"]);
  });

  it("takes a span with all below it", () => {
    assert.deepEqual(subtreeOf(CALL, "c").map(({ spanId }) => spanId), ["c", "d", "e"]);
  });
});
