import { metrics } from "@opentelemetry/api";
import type { EndedCall } from "@servable/grpc";

// Triton's names, so that dashboards move over unchanged. Labels have few values: models and versions, never ids.
const meter = metrics.getMeter("inference");
const calls = meter.createHistogram("rpc_server_duration_ms", { unit: "ms", description: "Duration of served calls." });
const success = meter.createCounter("nv_inference_request_success", { description: "Requests answered with OK." });
const failure = meter.createCounter("nv_inference_request_failure", { description: "Requests answered with an error." });
const duration = meter.createCounter("nv_inference_request_duration_us", { description: "Microseconds of all requests." });
const crashes = meter.createCounter("servable_engine_crashes", { description: "Engine processes that ended by themselves." });

/** One served call. */
export function recordCall({ method, code, durationMs }: EndedCall): void {
  calls.record(durationMs, { method, code });
}

/** One answered inference request. */
export function recordInference(model: string, version: number, ok: boolean, totalNs: bigint): void {
  const labels = { model, version: String(version) };
  (ok ? success : failure).add(1, ok ? labels : { ...labels, reason: "OTHER" });
  duration.add(Number(totalNs / 1_000n), labels);
}

/** One engine process that died. */
export function recordEngineCrash(model: string): void {
  crashes.add(1, { model });
}
