import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { readEnv, type Env } from "@servable/config";
import type { CollectedMetrics } from "./meter-provider.ts";
import { startMetricsServer, type MetricsServer } from "./metrics-server.ts";
import { foreignMetrics, setOwnMetrics } from "./metrics-sources.ts";

/** How long the last spans may take at shutdown. */
const FLUSH_MS = 3_000;

/** What {@link startTelemetry} takes. */
export interface TelemetryOptions {
  /** Name of the service; OTEL_SERVICE_NAME wins. */
  readonly service: string;
  readonly env: Env;
  /** Serves Prometheus metrics there (port 0 = any); absent = none. */
  readonly metrics?: { readonly host: string; readonly port: number };
  /** Collects metrics although nobody scrapes this process: somebody asks it by a call. */
  readonly collectsMetrics?: boolean;
}

/** A running telemetry set-up. */
export interface Telemetry extends AsyncDisposable {
  /** Where metrics are served, "host:port". */
  readonly metricsAddress: string | undefined;
}

/**
 * Sets up traces and metrics for the process; call it once, first, in `main.ts`.
 *
 * Traces go by OTLP when OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, and to files when
 * SERVABLE_TRACE_DIR is. With neither nothing is recorded, and a caller's W3C context is still passed on.
 *
 * @throws StatusError `CONFIG_INVALID` for an unknown OTEL_TRACES_SAMPLER, `PORT_IN_USE` for the metrics port
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const env = readEnv(options.env);
  const service = env.string("OTEL_SERVICE_NAME", options.service);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());

  const attributes = { "service.name": service, "service.instance.id": String(process.pid) };
  const targets = { otlp: (env.optional("OTEL_EXPORTER_OTLP_ENDPOINT") ?? env.optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) !== undefined, traceDir: env.optional("SERVABLE_TRACE_DIR") };
  // The SDK takes 10 MB and a tenth of a second; a process that records nothing does without.
  let shutdownTraces: (() => Promise<void>) | undefined;
  if (targets.otlp || targets.traceDir !== undefined) {
    const { createTracerProvider } = await import("./tracer-provider.ts");
    const provider = createTracerProvider(options.service, attributes, targets, env);
    trace.setGlobalTracerProvider(provider);
    shutdownTraces = () => provider.shutdown();
  }
  let collected: CollectedMetrics | undefined;
  let server: MetricsServer | undefined;
  if (options.metrics !== undefined || options.collectsMetrics === true) {
    const [{ collectMetrics }, { mergeMetrics }] = await Promise.all([import("./meter-provider.ts"), import("./metrics-text.ts")]);
    collected = collectMetrics(attributes);
    metrics.setGlobalMeterProvider(collected.provider);
    const { text } = collected;
    setOwnMetrics(text);
    if (options.metrics !== undefined) server = await startMetricsServer(async () => mergeMetrics(await text(), await foreignMetrics()), options.metrics);
  }
  return {
    metricsAddress: server?.address,
    [Symbol.asyncDispose]: async () => {
      // A collector that does not answer must not keep a service from ending.
      const bound = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref());
      await Promise.race([Promise.allSettled([shutdownTraces?.(), server?.[Symbol.asyncDispose](), collected?.shutdown()]), bound]);
    },
  };
}
