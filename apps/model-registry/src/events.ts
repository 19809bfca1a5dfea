import { metrics } from "@opentelemetry/api";
import type { EndedCall } from "@servable/grpc";

const meter = metrics.getMeter("model-registry");
const calls = meter.createHistogram("rpc_server_duration_ms", { unit: "ms", description: "Duration of served calls." });

/** One served call. */
export function recordCall({ method, code, durationMs }: EndedCall): void {
  calls.record(durationMs, { method, code });
}
