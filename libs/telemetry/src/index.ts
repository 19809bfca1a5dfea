export { type SpanRecord } from "./file-span-exporter.ts";
export { createLogger, type Logger } from "./logger.ts";
export { once } from "./once.ts";
export { runService, type RunningService } from "./run-service.ts";
export { startTelemetry, type Telemetry, type TelemetryOptions } from "./setup.ts";
export { activeTraceparent, contextOf, withSpan } from "./span.ts";
export { currentLogLevels, setLogLevels, type LogLevels } from "./log-levels.ts";
export { setTraceSampling, type TraceSampling } from "./trace-sampling.ts";
