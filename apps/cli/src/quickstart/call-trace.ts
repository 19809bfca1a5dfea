import { setTimeout as sleep } from "node:timers/promises";
import type { SpanRecord } from "@servable/telemetry";
import { renderTraceTree } from "../render/trace-tree.ts";
import { printLine } from "../terminal.ts";
import { readSpans } from "../trace-files.ts";
import { expect, heading, traceDirOf, type Tour } from "./tour.ts";

/** Services write their spans a moment after the call. */
const WAIT_MS = 8_000;
const POLL_MS = 100;

/** Draws the trace of one call: gateway, inference and engine. */
export async function callTrace(tour: Tour, traceId: string): Promise<void> {
  heading(tour, "5. Where one call spent its time (OpenTelemetry, W3C context through every hop)");
  const endMs = Date.now() + WAIT_MS;
  let spans: SpanRecord[] = [];
  while (!isComplete(spans) && Date.now() < endMs) {
    await sleep(POLL_MS, undefined, { signal: tour.signal });
    spans = readSpans(traceDirOf(tour)).filter((span) => span.traceId === traceId);
  }
  printLine(tour.terminal, renderTraceTree(spans));
  expect(isComplete(spans), "one trace holds linked spans of gateway, inference and engine");
}

function isComplete(spans: readonly SpanRecord[]): boolean {
  const engine = spans.find(({ name }) => name === "engine run");
  const parents = new Set<string>();
  for (let span = engine; span !== undefined; span = spans.find(({ spanId }) => spanId === span?.parentSpanId)) parents.add(span.service);
  return parents.has("gateway") && parents.has("inference");
}
