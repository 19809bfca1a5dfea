import { runService } from "@servable/telemetry";
import { readConfig } from "./config.ts";
import { startServer } from "./server.ts";

await runService(
  "inference",
  async (env) => {
    const server = await startServer(readConfig(env));
    return { ready: { address: server.address }, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  },
  { collectsMetrics: true },
);
