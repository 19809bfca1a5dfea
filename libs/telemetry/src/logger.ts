import { isSpanContextValid, trace } from "@opentelemetry/api";
import { pino, destination, type DestinationStream, type Logger } from "pino";
import { followLogLevels, isWritten } from "./log-levels.ts";

export type { Logger };

/**
 * A logger that writes JSON lines to stderr: an event name and fields. Lines written inside a span carry its `trace_id`
 * and `span_id`. Level by SERVABLE_LOG_LEVEL (default info), and while the process runs by `setLogLevels`; one that is
 * made with a level of its own keeps it.
 */
export function createLogger(service: string, level?: string, stream: DestinationStream = destination({ dest: 2, sync: true })): Logger {
  const logger = pino(
    {
      level: level ?? process.env["SERVABLE_LOG_LEVEL"] ?? "info",
      base: { service },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      mixin: () => {
        const context = trace.getActiveSpan()?.spanContext();
        return context === undefined || !isSpanContextValid(context) ? {} : { trace_id: context.traceId, span_id: context.spanId };
      },
      hooks: {
        logMethod(line, write, number) {
          if (level !== undefined || isWritten(number)) write.apply(this, line);
        },
      },
    },
    stream,
  );
  if (level === undefined) followLogLevels(logger);
  return logger;
}
