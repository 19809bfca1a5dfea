import { metrics } from "@opentelemetry/api";
import type { EndedCall } from "@servable/grpc";
import { once } from "@servable/telemetry";

// Triton's names, so that dashboards move over unchanged. Labels have few values: models and versions, never ids.
// Made at first use: an instrument of before the set-up of telemetry counts into nothing.
const instruments = once(() => {
  const meter = metrics.getMeter("inference");
  return {
    calls: meter.createHistogram("rpc_server_duration_ms", { unit: "ms", description: "Duration of served calls." }),
    success: meter.createCounter("nv_inference_request_success", { description: "Requests answered with OK." }),
    failure: meter.createCounter("nv_inference_request_failure", { description: "Requests answered with an error." }),
    duration: meter.createCounter("nv_inference_request_duration_us", { description: "Microseconds of all requests." }),
    crashes: meter.createCounter("servable_engine_crashes", { description: "Engine processes that ended by themselves." }),
  };
});

/** One served call. */
export function recordCall({ method, code, durationMs }: EndedCall): void {
  instruments().calls.record(durationMs, { method, code });
}

/** One answered inference request. */
export function recordInference(model: string, version: number, ok: boolean, totalNs: bigint): void {
  const labels = { model, version: String(version) };
  const { success, failure, duration } = instruments();
  (ok ? success : failure).add(1, ok ? labels : { ...labels, reason: "OTHER" });
  duration.add(Number(totalNs / 1_000n), labels);
}

/** One engine process that died. */
export function recordEngineCrash(model: string): void {
  instruments().crashes.add(1, { model });
}
