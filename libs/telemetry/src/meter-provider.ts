import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import { startMetricsServer } from "./metrics-server.ts";

/** Metrics that are served to Prometheus. */
export interface ServedMetrics extends AsyncDisposable {
  readonly provider: MeterProvider;
  /** Where they are served, "host:port". */
  readonly address: string;
}

/** A provider whose metrics are served over HTTP. @throws StatusError `PORT_IN_USE` */
export async function serveMetrics(attributes: Record<string, string>, listen: { readonly host: string; readonly port: number }): Promise<ServedMetrics> {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const provider = new MeterProvider({ resource: resourceFromAttributes(attributes), readers: [exporter] });
  const server = await startMetricsServer(exporter, listen);
  return {
    provider,
    address: server.address,
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled([server[Symbol.asyncDispose](), exporter.shutdown()]);
    },
  };
}
