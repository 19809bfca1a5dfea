import type { SpanRecord } from "@servable/telemetry";

/** SpanKind of OpenTelemetry's API. */
const SERVER = 1;
const CLIENT = 2;

/** A span and all below it. */
export function subtreeOf(spans: readonly SpanRecord[], spanId: string): SpanRecord[] {
  const root = spans.filter((span) => span.spanId === spanId);
  return [...root, ...spans.filter(({ parentSpanId }) => parentSpanId === spanId).flatMap((child) => subtreeOf(spans, child.spanId))];
}

/**
 * Shows each call once: a caller's span that holds nothing but the callee's of the same name gives way to it, and so does
 * a hop that only passes the call on. What is left says who did the work.
 */
export function foldCalls(spans: readonly SpanRecord[]): SpanRecord[] {
  let folded = [...spans];
  for (;;) {
    const childrenOf = Map.groupBy(folded, ({ parentSpanId }) => parentSpanId ?? "");
    const caller = folded.find((span) => {
      const children = childrenOf.get(span.spanId) ?? [];
      return (span.kind === CLIENT || span.kind === SERVER) && children.length === 1 && children[0]?.name === span.name;
    });
    if (caller === undefined) return folded;
    folded = folded.filter((span) => span !== caller).map((span) => (span.parentSpanId === caller.spanId ? withParent(span, caller.parentSpanId) : span));
  }
}

function withParent(span: SpanRecord, parent: string | undefined): SpanRecord {
  const { parentSpanId: _dropped, ...own } = span;
  return parent === undefined ? own : { ...own, parentSpanId: parent };
}
