import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { SpanStatusCode } from "@opentelemetry/api";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";

/** No file grows above this; what comes after is dropped. */
const FILE_BYTES_MAX = 16 * 1024 * 1024;

/** One span as it stands in a trace file. */
export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly service: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly ok: boolean;
}

/** Appends each finished span as one JSON line to `<dir>/<service>-<pid>.jsonl`, so that a laptop needs no collector. */
export class FileSpanExporter implements SpanExporter {
  readonly #path: string;
  readonly #service: string;
  #bytes = 0;

  constructor(directory: string, service: string) {
    mkdirSync(directory, { recursive: true });
    this.#path = join(directory, `${service}-${process.pid}.jsonl`);
    this.#service = service;
  }

  export(spans: ReadableSpan[], done: (result: { code: number; error?: Error }) => void): void {
    const lines = spans.map((span) => JSON.stringify(this.#record(span)) + "\n").join("");
    try {
      if (this.#bytes + lines.length <= FILE_BYTES_MAX) {
        appendFileSync(this.#path, lines);
        this.#bytes += lines.length;
      }
      done({ code: 0 });
    } catch (error) {
      done({ code: 1, error: error as Error });
    }
  }

  async shutdown(): Promise<void> {}

  async forceFlush(): Promise<void> {}

  #record(span: ReadableSpan): SpanRecord {
    const nanos = ([seconds, rest]: [number, number]): string => (BigInt(seconds) * 1_000_000_000n + BigInt(rest)).toString();
    const parent = span.parentSpanContext?.spanId;
    return {
      traceId: span.spanContext().traceId,
      spanId: span.spanContext().spanId,
      ...(parent === undefined ? {} : { parentSpanId: parent }),
      name: span.name,
      service: this.#service,
      kind: span.kind,
      startTimeUnixNano: nanos(span.startTime),
      endTimeUnixNano: nanos(span.endTime),
      attributes: span.attributes,
      ok: span.status.code !== SpanStatusCode.ERROR,
    };
  }
}
