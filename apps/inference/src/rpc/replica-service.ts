import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { requireRole } from "@servable/auth";
import { ReplicaService, type LoadedModelSchema, type ReplicaStatusSchema } from "@servable/contracts/inference/v1/replica";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { RateLimiter } from "@servable/scheduling";
import { ownMetricsText } from "@servable/telemetry";
import type { LoadedModel } from "../domain/repository/loaded-model.ts";
import type { ModelRepository } from "../domain/repository/model-repository.ts";
import type { Residency } from "../domain/repository/residency.ts";

/** What the service tells of. */
export interface ReplicaServiceDeps {
  readonly repository: ModelRepository;
  readonly residency: Residency;
  readonly rateLimiter: RateLimiter;
  readonly replicaId: string;
  readonly startTimeMs: number;
  readonly registryConnected: () => boolean;
  readonly draining: () => boolean;
}

/** servable.inference.v1.ReplicaService: what this process is doing. */
export function replicaService({ repository, residency, rateLimiter, replicaId, startTimeMs, registryConnected, draining }: ReplicaServiceDeps): ServiceRegistration {
  const status = (): MessageInitShape<typeof ReplicaStatusSchema> => {
    const models = repository.all();
    const { budget } = residency;
    return {
      replicaId,
      startTime: timestampFromMs(startTimeMs),
      registryConnected: registryConnected(),
      models: models.map((model) => modelStatus(model, residency.isPinned(model))),
      inFlightCount: models.reduce((sum, { inFlight }) => sum + inFlight, 0),
      residentMemoryBytes: BigInt(process.memoryUsage.rss()),
      memoryBudgetBytes: BigInt(budget.budgetBytes),
      memoryUsedBytes: BigInt(budget.usedBytes),
      memoryWaitingCount: budget.waitingCount,
      loadCount: BigInt(budget.loadCount),
      evictionCount: BigInt(budget.evictionCount),
      rateLimitWaitingCount: rateLimiter.waitingCount,
      draining: draining(),
    };
  };
  return implement(ReplicaService, {
    getReplicaStatus(_request, { identity }) {
      requireRole(identity, "admin");
      return status();
    },
    listReplicaStatuses(_request, { identity }) {
      requireRole(identity, "admin");
      return { replicas: [status()] };
    },
    async getReplicaMetrics(_request, { identity }) {
      requireRole(identity, "admin");
      return { replicaId, text: await ownMetricsText() };
    },
  });
}

function modelStatus({ spec, state, message, executor, stats, inFlight, footprintBytes, lastUsedMs }: LoadedModel, pinned: boolean): MessageInitShape<typeof LoadedModelSchema> {
  const [p50Ns, p99Ns] = stats.latencyNs([0.5, 0.99]);
  const microseconds = (ns: number | undefined): bigint => BigInt(Math.round((ns ?? 0) / 1_000));
  return {
    deployment: spec.deployment,
    version: BigInt(spec.version),
    state,
    message,
    enginePid: executor?.pids[0] ?? 0,
    enginePids: [...(executor?.pids ?? [])],
    engineRestartCount: executor?.restartCount ?? 0,
    successCount: BigInt(stats.success.count),
    failureCount: BigInt(stats.fail.count),
    inFlightCount: inFlight,
    queueLength: executor?.queueLength ?? 0,
    inferenceCount: BigInt(stats.inferenceCount),
    executionCount: BigInt(stats.executionCount),
    memoryBytes: BigInt(footprintBytes),
    pinned,
    latencyUsP50: microseconds(p50Ns),
    latencyUsP99: microseconds(p99Ns),
    ...(lastUsedMs === 0 ? {} : { lastRequestTime: timestampFromMs(Math.round(lastUsedMs)) }),
  };
}
