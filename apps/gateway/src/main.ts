import { runService } from "@servable/telemetry";
import { gatewayConfigFromEnv, startServer } from "./index.ts";

// Unlike the services behind it, the gateway always serves metrics.
process.env["SERVABLE_METRICS_PORT"] ??= "8002";

await runService("gateway", async (env) => {
  const config = gatewayConfigFromEnv(env);
  const server = await startServer(config);
  const { grpcAddress, httpAddress, bootstrapKey } = server;
  // A supervisor reads the key's file; the log must not hold it.
  if (bootstrapKey !== undefined && process.send === undefined) process.stdout.write(`first admin key, shown once: ${bootstrapKey}\n`);
  return { ready: { address: grpcAddress, grpcAddress, httpAddress }, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
});
