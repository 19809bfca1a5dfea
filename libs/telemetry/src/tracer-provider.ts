import { AlwaysOffSampler, AlwaysOnSampler, BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider, type Sampler, type SpanProcessor } from "@opentelemetry/sdk-trace";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import type { EnvReader } from "@servable/config";
import { StatusError } from "@servable/errors";
import { FileSpanExporter } from "./file-span-exporter.ts";
import { switchable } from "./trace-sampling.ts";

/** How long spans wait before they are written to a trace file: short, since people look at once. */
const FILE_DELAY_MS = 100;

/** Where a process's spans go. */
export interface TraceTargets {
  /** By OTLP, to the collector that the standard variables name. */
  readonly otlp: boolean;
  /** To files in this folder. */
  readonly traceDir: string | undefined;
}

/** A provider that records spans and exports them. @throws StatusError `CONFIG_INVALID` for an unknown OTEL_TRACES_SAMPLER */
export function createTracerProvider(service: string, attributes: Record<string, string>, { otlp, traceDir }: TraceTargets, env: EnvReader): TracerProvider {
  const spanProcessors: SpanProcessor[] = [];
  if (otlp) spanProcessors.push(new BatchSpanProcessor({ exporter: new OTLPTraceExporter() }));
  if (traceDir !== undefined) spanProcessors.push(new BatchSpanProcessor({ exporter: new FileSpanExporter(traceDir, service), scheduledDelayMillis: FILE_DELAY_MS }));
  const sampler = samplerOf(env.string("OTEL_TRACES_SAMPLER", "parentbased_always_on"), env.string("OTEL_TRACES_SAMPLER_ARG", "1"));
  return new TracerProvider({ resource: resourceFromAttributes(attributes), spanProcessors, sampler });
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
