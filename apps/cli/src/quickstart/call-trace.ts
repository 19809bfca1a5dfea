import { setTimeout as sleep } from "node:timers/promises";
import type { SpanRecord } from "@servable/telemetry";
import { foldCalls, subtreeOf } from "../render/span-sets.ts";
import { renderTraceTree } from "../render/trace-tree.ts";
import { printLine } from "../terminal.ts";
import { readSpans } from "../trace-files.ts";
import { expect, heading, traceDirOf, type CallPlace, type Tour } from "./tour.ts";

/** Services write their spans a moment after the call. */
const WAIT_MS = 8_000;
const POLL_MS = 100;

/** Draws the trace of one call, then the whole story it belongs to: every service stands in it. */
export async function callTrace(tour: Tour, { traceId, spanId }: CallPlace): Promise<void> {
  heading(tour, "5. Where one call spent its time (OpenTelemetry, W3C context through every hop)");
  const endMs = Date.now() + WAIT_MS;
  let spans: SpanRecord[] = [];
  while (missing(spans, spanId) !== undefined && Date.now() < endMs) {
    await sleep(POLL_MS, undefined, { signal: tour.signal });
    spans = readSpans(traceDirOf(tour)).filter((span) => span.traceId === traceId);
  }
  printLine(tour.terminal, renderTraceTree(subtreeOf(spans, spanId)));
  printLine(tour.terminal, "\nThe same call at the end of its story, one trace over all four services (each call drawn where it was served):\n");
  printLine(tour.terminal, renderTraceTree(foldCalls(spans)));
  expect(missing(spans, spanId) === undefined, `one trace holds linked spans of all services; ${missing(spans, spanId)} is missing`);
}

/** What the trace lacks: the engine's span below gateway and inference, then the other services'. */
function missing(spans: readonly SpanRecord[], callSpanId: string): string | undefined {
  const call = subtreeOf(spans, callSpanId);
  const engine = call.find(({ name }) => name === "engine run");
  const above = new Set<string>();
  for (let span = engine; span !== undefined; span = call.find(({ spanId }) => spanId === span?.parentSpanId)) above.add(span.service);
  if (engine === undefined) return "the engine";
  return ["gateway", "inference"].find((service) => !above.has(service)) ?? ["training", "model-registry", "quickstart"].find((service) => !spans.some((span) => span.service === service));
}
