import type { SpanRecord } from "@servable/telemetry";

const BAR_WIDTH = 24;

interface Node {
  readonly span: SpanRecord;
  readonly children: Node[];
}

/**
 * A trace as a tree, one line a span: name, service, duration, and a bar that shows when it ran.
 *
 * A span whose parent is not among the records (the caller's own, or lost) stands at the top level.
 */
export function renderTraceTree(spans: readonly SpanRecord[]): string {
  const roots = treeOf(spans);
  const starts = spans.map((span) => BigInt(span.startTimeUnixNano));
  const begin = starts.reduce((least, time) => (time < least ? time : least), starts[0] ?? 0n);
  const end = spans.map((span) => BigInt(span.endTimeUnixNano)).reduce((most, time) => (time > most ? time : most), begin);
  const lines = roots.flatMap((root) => linesOf(root, "", ""));
  const labelWidth = Math.max(0, ...lines.map(({ label }) => label.length));
  const serviceWidth = Math.max(0, ...spans.map(({ service }) => service.length));
  return lines
    .map(({ label, span }) => {
      const duration = `${(Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6).toFixed(2)} ms`;
      return `${label.padEnd(labelWidth)}  ${span.service.padEnd(serviceWidth)}  ${duration.padStart(11)}  ${barOf(span, begin, end)}${span.ok ? "" : " failed"}`;
    })
    .join("\n");
}

function treeOf(spans: readonly SpanRecord[]): Node[] {
  const nodes = new Map(spans.map((span) => [span.spanId, { span, children: [] as Node[] }]));
  const roots: Node[] = [];
  for (const node of nodes.values()) {
    const parent = node.span.parentSpanId === undefined ? undefined : nodes.get(node.span.parentSpanId);
    (parent?.children ?? roots).push(node);
  }
  const byStart = (a: Node, b: Node): number => (BigInt(a.span.startTimeUnixNano) < BigInt(b.span.startTimeUnixNano) ? -1 : 1);
  for (const node of nodes.values()) node.children.sort(byStart);
  return roots.sort(byStart);
}

function linesOf(node: Node, first: string, rest: string): { label: string; span: SpanRecord }[] {
  return [
    { label: first + node.span.name, span: node.span },
    ...node.children.flatMap((child, index) => {
      const last = index === node.children.length - 1;
      return linesOf(child, `${rest}${last ? "└─ " : "├─ "}`, `${rest}${last ? "   " : "│  "}`);
    }),
  ];
}

function barOf(span: SpanRecord, begin: bigint, end: bigint): string {
  const total = Number(end - begin) || 1;
  const from = Math.min(BAR_WIDTH - 1, Math.floor((Number(BigInt(span.startTimeUnixNano) - begin) / total) * BAR_WIDTH));
  const to = Math.max(from + 1, Math.round((Number(BigInt(span.endTimeUnixNano) - begin) / total) * BAR_WIDTH));
  return " ".repeat(from) + "▇".repeat(to - from) + " ".repeat(BAR_WIDTH - to);
}
