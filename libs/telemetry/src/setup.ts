import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
  type SpanProcessor,
} from "@opentelemetry/sdk-trace";
import { readEnv, type Env } from "@servable/config";
import { StatusError } from "@servable/errors";
import { FileSpanExporter } from "./file-span-exporter.ts";
import { startMetricsServer, type MetricsServer } from "./metrics-server.ts";
import { switchable } from "./trace-sampling.ts";

/** How long spans wait before they are written to a trace file: short, since people look at once. */
const FILE_DELAY_MS = 100;
/** How long the last spans may take at shutdown. */
const FLUSH_MS = 3_000;

/** What {@link startTelemetry} takes. */
export interface TelemetryOptions {
  /** Name of the service; OTEL_SERVICE_NAME wins. */
  readonly service: string;
  readonly env: Env;
  /** Serves Prometheus metrics there (port 0 = any); absent = none. */
  readonly metrics?: { readonly host: string; readonly port: number };
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

  const resource = resourceFromAttributes({ "service.name": service, "service.instance.id": String(process.pid) });
  const spanProcessors: SpanProcessor[] = [];
  if (env.optional("OTEL_EXPORTER_OTLP_ENDPOINT") ?? env.optional("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) {
    spanProcessors.push(new BatchSpanProcessor({ exporter: new OTLPTraceExporter() }));
  }
  const traceDir = env.optional("SERVABLE_TRACE_DIR");
  if (traceDir !== undefined) {
    spanProcessors.push(new BatchSpanProcessor({ exporter: new FileSpanExporter(traceDir, options.service), scheduledDelayMillis: FILE_DELAY_MS }));
  }
  let provider: TracerProvider | undefined;
  if (spanProcessors.length > 0) {
    provider = new TracerProvider({ resource, spanProcessors, sampler: samplerOf(env.string("OTEL_TRACES_SAMPLER", "parentbased_always_on"), env.string("OTEL_TRACES_SAMPLER_ARG", "1")) });
    trace.setGlobalTracerProvider(provider);
  }

  let exporter: PrometheusExporter | undefined;
  let metricsServer: MetricsServer | undefined;
  if (options.metrics !== undefined) {
    exporter = new PrometheusExporter({ preventServerStart: true });
    metrics.setGlobalMeterProvider(new MeterProvider({ resource, readers: [exporter] }));
    metricsServer = await startMetricsServer(exporter, options.metrics);
  }
  return {
    metricsAddress: metricsServer?.address,
    [Symbol.asyncDispose]: async () => {
      // A collector that does not answer must not keep a service from ending.
      const bound = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref());
      await Promise.race([Promise.allSettled([provider?.shutdown(), metricsServer?.[Symbol.asyncDispose](), exporter?.shutdown()]), bound]);
    },
  };
}

function samplerOf(name: string, argument: string): Sampler {
  const ratio = Number(argument);
  const roots: Readonly<Record<string, () => Sampler>> = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  const root = roots[name.replace(/^parentbased_/, "")];
  if (root === undefined || Number.isNaN(ratio)) {
    throw new StatusError("CONFIG_INVALID", `OTEL_TRACES_SAMPLER="${name}" with argument "${argument}" is not known: use parentbased_always_on, parentbased_traceidratio, always_on, always_off or traceidratio`, {
      metadata: { variable: "OTEL_TRACES_SAMPLER" },
    });
  }
  return name.startsWith("parentbased_") ? new ParentBasedSampler({ root: switchable(root()) }) : root();
}
