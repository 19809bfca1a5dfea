import { metrics } from "@opentelemetry/api";

/** The gateway's metrics: one function an event. Labels hold routes and outcomes, never ids. */
export interface GatewayEvents {
  /** A call was answered. `route` is a gRPC method or an HTTP route pattern, `outcome` "OK", a gRPC code's name or an HTTP status. */
  callEnded(call: { protocol: "grpc" | "http"; route: string; outcome: string; durationMs: number }): void;
  /** Usage records were lost: the queue was full, or the database away at shutdown. */
  usageLost(count: number): void;
  /** A routing table arrived. */
  tableReceived(): void;
}

const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Metrics on the process's meter; create them after telemetry was set up. */
export function createEvents(): GatewayEvents {
  const meter = metrics.getMeter("@servable/gateway");
  const requests = meter.createCounter("servable_gateway_requests", { description: "Calls answered." });
  const duration = meter.createHistogram("servable_gateway_request_duration_seconds", {
    description: "Time from a call's arrival to its answer.",
    advice: { explicitBucketBoundaries: SECONDS_BUCKETS },
  });
  const lost = meter.createCounter("servable_gateway_usage_records_lost", { description: "Usage records that could not be kept." });
  const tables = meter.createCounter("servable_gateway_routing_tables", { description: "Routing tables received from the model registry." });
  return {
    callEnded({ durationMs, ...labels }) {
      requests.add(1, labels);
      duration.record(durationMs / 1000, labels);
    },
    usageLost: (count) => lost.add(count),
    tableReceived: () => tables.add(1),
  };
}
