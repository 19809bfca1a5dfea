import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { StatusError } from "@servable/errors";

const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Where metrics are scraped. */
export interface MetricsServer extends AsyncDisposable {
  /** "host:port" with the real port. */
  readonly address: string;
}

/** Serves metrics at `/metrics`. @throws StatusError `PORT_IN_USE` */
export async function startMetricsServer(text: () => Promise<string>, { host, port }: { readonly host: string; readonly port: number }): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url?.split("?")[0] !== "/metrics") {
      response.writeHead(404).end("metrics are at /metrics\n");
      return;
    }
    text().then(
      (body) => response.writeHead(200, { "content-type": CONTENT_TYPE }).end(body),
      () => response.writeHead(500).end("metrics cannot be collected now\n"),
    );
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
