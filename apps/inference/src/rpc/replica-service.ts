import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { requireRole } from "@servable/auth";
import { ReplicaService, type ReplicaStatusSchema } from "@servable/contracts/inference/v1/replica";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { ModelRepository } from "../domain/model-repository.ts";

/** servable.inference.v1.ReplicaService: what this process is doing. */
export function replicaService({ repository, replicaId, startTimeMs, registryConnected }: { repository: ModelRepository; replicaId: string; startTimeMs: number; registryConnected: () => boolean }): ServiceRegistration {
  const status = (): MessageInitShape<typeof ReplicaStatusSchema> => {
      const models = repository.all();
      return {
        replicaId,
        startTime: timestampFromMs(startTimeMs),
        registryConnected: registryConnected(),
        models: models.map(({ spec, state, message, executor, stats }) => ({
          deployment: spec.deployment,
          version: BigInt(spec.version),
          state,
          message,
          enginePid: executor?.pids[0] ?? 0,
          engineRestartCount: executor?.restartCount ?? 0,
          successCount: BigInt(stats.success.count),
          failureCount: BigInt(stats.fail.count),
        })),
        inFlightCount: models.reduce((sum, { inFlight }) => sum + inFlight, 0),
        residentMemoryBytes: BigInt(process.memoryUsage.rss()),
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
  });
}
