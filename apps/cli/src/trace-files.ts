import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import type { SpanRecord } from "@servable/telemetry";

const GATEWAY = "gateway";

/** All spans in a folder of trace files. @throws StatusError `FIELD_INVALID` when there is no such folder */
export function readSpans(traceDir: string): SpanRecord[] {
  let files: string[];
  try {
    files = readdirSync(traceDir).filter((name) => name.endsWith(".jsonl"));
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `there are no traces in ${traceDir}: start the platform with \`servable up --trace\`, then make a call`, { cause: error });
  }
  return files.flatMap((name) => readFileSync(join(traceDir, name), "utf8").split("\n").flatMap(spanOf));
}

/** The newest traces, newest first, each with its root; without `all` only those of callers, not the platform's heartbeats. */
export function summarizeTraces(spans: readonly SpanRecord[], countMax: number, all: boolean): { traceId: string; root: SpanRecord; spanCount: number }[] {
  const byTrace = Map.groupBy(spans, ({ traceId }) => traceId);
  return [...byTrace]
    .flatMap(([traceId, own]) => {
      const ids = new Set(own.map(({ spanId }) => spanId));
      const root = own.find(({ parentSpanId }) => parentSpanId === undefined || !ids.has(parentSpanId));
      return root === undefined || (!all && root.service !== GATEWAY) ? [] : [{ traceId, root, spanCount: own.length }];
    })
    .sort((a, b) => (BigInt(a.root.startTimeUnixNano) < BigInt(b.root.startTimeUnixNano) ? 1 : -1))
    .slice(0, countMax);
}

/** A service may be writing its last line at this moment: half a line is no span yet. */
function spanOf(line: string): SpanRecord[] {
  try {
    return line === "" ? [] : [JSON.parse(line) as SpanRecord];
  } catch {
    return [];
  }
}
