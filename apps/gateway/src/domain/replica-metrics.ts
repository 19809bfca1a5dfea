import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { serviceIdentity } from "@servable/auth";
import { GetReplicaMetricsRequestSchema, ReplicaMetricsSchema } from "@servable/contracts/inference/v1/replica";
import type { ReplicaClient } from "./inference.ts";
import type { Router } from "./router.ts";

/** How long a replica may take to tell its metrics: scrapers do not wait long. */
const METRICS_MS_MAX = 2_000;

/** One replica's metrics as text, under its id. */
export interface ReplicaMetricsText {
  readonly labels: { readonly replica: string };
  readonly text: string;
}

/** Asks every replica for its metrics; those that do not answer in time are left out. */
export async function replicaMetrics(router: Router, replicas: ReplicaClient): Promise<ReplicaMetricsText[]> {
  const signal = AbortSignal.timeout(METRICS_MS_MAX);
  const caller = { identity: serviceIdentity("gateway"), requestId: "metrics", signal, deadline: undefined };
  const request = toBinary(GetReplicaMetricsRequestSchema, create(GetReplicaMetricsRequestSchema));
  const answers = await Promise.allSettled((await router.replicas(signal)).map((address) => replicas.unary(address, "GetReplicaMetrics", request, caller)));
  return answers.flatMap((answer) => {
    if (answer.status === "rejected") return [];
    const { replicaId, text } = fromBinary(ReplicaMetricsSchema, answer.value);
    return [{ labels: { replica: replicaId }, text }];
  });
}
