import { isSpanContextValid, trace } from "@opentelemetry/api";
import { pino, destination, type Logger } from "pino";

export type { Logger };

/**
 * A logger that writes JSON lines to stderr: an event name and fields. Lines written inside a span carry its `trace_id`
 * and `span_id`. Level by SERVABLE_LOG_LEVEL; default info.
 */
export function createLogger(service: string, level: string = process.env["SERVABLE_LOG_LEVEL"] ?? "info"): Logger {
  return pino(
    {
      level,
      base: { service },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => {
        const context = trace.getActiveSpan()?.spanContext();
        return context === undefined || !isSpanContextValid(context) ? {} : { trace_id: context.traceId, span_id: context.spanId };
      },
    },
    destination({ dest: 2, sync: true }),
  );
}
