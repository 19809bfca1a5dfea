import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { requireRole } from "@servable/auth";
import { GetReplicaStatusRequestSchema, ReplicaService, ReplicaStatusSchema } from "@servable/contracts/inference/v1/replica";
import { StatusError } from "@servable/errors";
import { implement, type CallContext, type ServiceRegistration } from "@servable/grpc";
import type { Broadcast } from "../domain/broadcast.ts";
import { callerOf } from "./caller-of.ts";

/** The state of all replicas at one door, for administrators: behind it each replica is asked for its own. */
export function replicaService(broadcast: Broadcast): ServiceRegistration {
  const one = (what: string) => (_request: unknown, { identity }: CallContext): never => {
    requireRole(identity, "admin");
    throw new StatusError("UNIMPLEMENTED", `${what} is about one replica: call ListReplicaStatuses here`);
  };
  return implement(ReplicaService, {
    getReplicaStatus: one("GetReplicaStatus"),
    getReplicaMetrics: one("GetReplicaMetrics"),
    async listReplicaStatuses(_request, context) {
      requireRole(context.identity, "admin");
      const question = toBinary(GetReplicaStatusRequestSchema, create(GetReplicaStatusRequestSchema));
      const answers = await broadcast.tell("GetReplicaStatus", question, callerOf(context));
      const replicas = answers.flatMap(({ result }) => (result.status === "fulfilled" ? [fromBinary(ReplicaStatusSchema, result.value)] : []));
      return {
        replicas: replicas.sort((a, b) => (a.replicaId < b.replicaId ? -1 : 1)),
        unreachable: answers.filter(({ result }) => result.status === "rejected").map(({ address }) => address),
      };
    },
  });
}
