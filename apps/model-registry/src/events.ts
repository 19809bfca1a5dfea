import { metrics } from "@opentelemetry/api";
import type { EndedCall } from "@servable/grpc";
import { once } from "@servable/telemetry";

// Made at first use: an instrument of before the set-up of telemetry counts into nothing.
const calls = once(() => metrics.getMeter("model-registry").createHistogram("rpc_server_duration_ms", { unit: "ms", description: "Duration of served calls." }));

/** One served call. */
export function recordCall({ method, code, durationMs }: EndedCall): void {
  calls().record(durationMs, { method, code });
}
