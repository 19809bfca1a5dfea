import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
import { StatusError } from "@servable/errors";

/** Where metrics are scraped. */
export interface MetricsServer extends AsyncDisposable {
  /** "host:port" with the real port. */
  readonly address: string;
}

/**
 * Serves an exporter's metrics at `/metrics`. The exporter has a server of its own, which takes port 0 for "the default
 * port" and so cannot choose a free one.
 *
 * @throws StatusError `PORT_IN_USE`
 */
export async function startMetricsServer(exporter: PrometheusExporter, { host, port }: { readonly host: string; readonly port: number }): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url?.split("?")[0] === "/metrics") exporter.getMetricsRequestHandler(request, response);
    else response.writeHead(404).end("metrics are at /metrics\n");
  });
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new StatusError("PORT_IN_USE", `${host}:${port} is in use: stop what listens there or set SERVABLE_METRICS_PORT to another port`, {
      metadata: { variable: "SERVABLE_METRICS_PORT" },
      cause: error,
    });
  }
  // A scrape must not keep the process alive, nor a scraper's open connection its end.
  server.unref();
  return {
    address: `${host}:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
