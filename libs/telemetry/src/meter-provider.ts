import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { metricsTextOf } from "./metrics-text.ts";

/** Metrics that are collected for whoever asks. */
export interface CollectedMetrics {
  readonly provider: MeterProvider;
  /** In Prometheus' text form. */
  readonly text: () => Promise<string>;
  shutdown(): Promise<void>;
}

/** A provider whose metrics are told as text. */
export function collectMetrics(attributes: Record<string, string>): CollectedMetrics {
  // Used as a reader only: the server that it could start takes port 0 for "the default port".
  const exporter = new PrometheusExporter({ preventServerStart: true });
  return {
    provider: new MeterProvider({ resource: resourceFromAttributes(attributes), readers: [exporter] }),
    text: () => metricsTextOf(exporter),
    shutdown: () => exporter.shutdown(),
  };
}
