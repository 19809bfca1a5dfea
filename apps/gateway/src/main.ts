import { once } from "node:events";
import { StatusError, exitCodeOf } from "@servable/errors";
import { startTelemetry } from "@servable/telemetry";
import { gatewayConfigFromEnv, startServer } from "./index.ts";

try {
  const config = gatewayConfigFromEnv(process.env);
  await using telemetry = await startTelemetry({ service: "gateway", env: process.env, metrics: { host: config.host, port: config.metricsPort } });
  await using server = await startServer(config);
  const { grpcAddress, httpAddress, bootstrapKey } = server;
  const { metricsAddress } = telemetry;
  if (process.send === undefined) {
    process.stdout.write(`gateway ready: gRPC ${grpcAddress}, HTTP http://${httpAddress}, metrics http://${metricsAddress ?? ""}/metrics\n`);
    if (bootstrapKey !== undefined) process.stdout.write(`first admin key, shown once: ${bootstrapKey}\n`);
  } else process.send({ type: "ready", address: grpcAddress, grpcAddress, httpAddress, metricsAddress, bootstrapKey });
  // Without its supervisor a child ends too.
  await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT"), once(process, "disconnect")]);
} catch (error) {
  const failure = StatusError.from(error);
  process.stderr.write(`gateway: ${failure.message}\n`);
  if (failure.reason === "INTERNAL") process.stderr.write(`${String((failure.cause as Error | undefined)?.stack ?? failure.cause)}\n`);
  process.exitCode = exitCodeOf(failure);
}
if (process.connected) process.disconnect?.();
