import { create, toJsonString, type DescMessage, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { decodePageToken, pageOf, pageSizeOf } from "@servable/aip";
import { authorize, requireRole } from "@servable/auth";
import { AssignmentSetSchema, DeploymentSchema, DeploymentService, RoutingTableSchema, type VersionPolicy } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { DeploymentCatalog } from "../domain/deployment-catalog.ts";
import type { ReplicaRecord, VersionPolicyRecord } from "../domain/records.ts";
import type { ServingState } from "../domain/serving-state.ts";
import type { ServingWatch } from "../domain/serving-watch.ts";
import { deploymentMessage, signatureMessage, versionMessage } from "./messages.ts";

/** servable.registry.v1.DeploymentService over the domain. */
export function deploymentService({ deployments, serving }: { deployments: DeploymentCatalog; serving: ServingWatch }): ServiceRegistration {
  const view = async (name: string) => {
    await deployments.get(name);
    const found = (await serving.read()).views.get(name);
    if (found === undefined) throw new StatusError("DEPLOYMENT_NOT_FOUND", `there is no ${name}`, { metadata: { deployment: name } });
    return deploymentMessage(found);
  };
  return implement(DeploymentService, {
    async createDeployment({ parent, deploymentId, deployment }, { identity }) {
      const { principal } = authorize(identity, "developer", parent);
      if (deployment === undefined) throw new StatusError("FIELD_REQUIRED", "deployment is required", { metadata: { field: "deployment" } });
      const { name } = await deployments.create(parent, deploymentId, deployment.model, { policy: policyOf(deployment.versionPolicy), replicaCount: deployment.replicaCount, servingConfigJson: deployment.servingConfigJson }, principal);
      return view(name);
    },
    async getDeployment({ name }, { identity }) {
      authorize(identity, "user", name);
      return view(name);
    },
    async listDeployments({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `deployments of ${parent}`;
      const { rows, nextPageToken } = pageOf(await deployments.list(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ name }) => name);
      const { views } = await serving.read();
      return { deployments: rows.map(({ name }) => views.get(name)).filter((each) => each !== undefined).map(deploymentMessage), nextPageToken };
    },
    async updateDeployment({ deployment, updateMask }, { identity }) {
      if (deployment === undefined) throw new StatusError("FIELD_REQUIRED", "deployment is required", { metadata: { field: "deployment" } });
      const { principal } = authorize(identity, "developer", deployment.name);
      const paths = updateMask?.paths ?? [];
      const unknown = paths.find((path) => !["version_policy", "replica_count", "serving_config_json"].includes(path));
      if (unknown !== undefined) throw new StatusError("FIELD_INVALID", `update_mask: "${unknown}" cannot be changed; version_policy, replica_count and serving_config_json can`, { metadata: { field: "update_mask" } });
      const chosen = (path: string, populated: boolean): boolean => (paths.length === 0 ? populated : paths.includes(path));
      await deployments.update(
        deployment.name,
        deployment.etag,
        {
          ...(chosen("version_policy", deployment.versionPolicy !== undefined) ? { policy: policyOf(deployment.versionPolicy) } : {}),
          ...(chosen("replica_count", deployment.replicaCount !== 0) ? { replicaCount: deployment.replicaCount } : {}),
          ...(chosen("serving_config_json", deployment.servingConfigJson !== "") ? { servingConfigJson: deployment.servingConfigJson } : {}),
        },
        principal,
      );
      return view(deployment.name);
    },
    async deleteDeployment({ name }, { identity }) {
      const { principal } = authorize(identity, "developer", name);
      await deployments.delete(name, principal);
      return {};
    },
    async *watchDeployment({ name }, { identity, signal }) {
      authorize(identity, "user", name);
      await deployments.get(name);
      yield* serving.watch(({ views }) => {
        const found = views.get(name);
        return found && keyed(DeploymentSchema, deploymentMessage(found));
      }, signal);
    },

    async reportReplica({ replica, statuses, leaving }, { identity }) {
      requireRole(identity, "admin");
      const replicaId = replica?.replicaId ?? "";
      const handedOver = await serving.report(
        { replicaId, address: replica?.address ?? "", memoryBudgetBytes: Number(replica?.memoryBudgetBytes ?? 0n), draining: replica?.draining ?? false },
        statuses.map(({ deployment, version, state, message, assignmentEtag, memoryBytes }) => ({ replicaId, deployment, version: Number(version), state, message: message.slice(0, 2_000), assignmentEtag, memoryBytes: Number(memoryBytes) })),
        leaving,
      );
      return { handedOver, leaseDuration: { seconds: BigInt(Math.floor(serving.leaseMs / 1000)), nanos: (serving.leaseMs % 1000) * 1_000_000 } };
    },
    async *watchAssignments({ replicaId }, { identity, signal }) {
      requireRole(identity, "admin");
      yield* serving.watch((state) => keyed(AssignmentSetSchema, assignmentSet(state, replicaId)), signal);
    },
    async *watchRoutingTable(_request, { identity, signal }) {
      requireRole(identity, "admin");
      yield* serving.watch((state) => keyed(RoutingTableSchema, routingTable(state)), signal);
    },
    async listReplicas(_request, { identity }) {
      requireRole(identity, "admin");
      return { replicas: (await serving.read()).replicas.map(replicaMessage) };
    },
  });
}

function policyOf(policy: VersionPolicy | undefined): VersionPolicyRecord {
  switch (policy?.choice.case) {
    case "specific":
      return { kind: "specific", versions: policy.choice.value.versions.map(Number) };
    case "alias":
      return { kind: "alias", alias: policy.choice.value };
    case "all":
      return { kind: "all" };
    case "labels":
      return { kind: "labels", aliases: policy.choice.value.aliases };
    default:
      return { kind: "latest", count: policy?.choice.value?.versionCount || 1 };
  }
}

function assignmentSet(state: ServingState, replicaId: string): MessageInitShape<typeof AssignmentSetSchema> {
  return {
    sequence: BigInt(state.sequence),
    assignments: state.assignments(replicaId).map(({ deployment, version, isDefault, etag, aliases }) => ({
      deployment: deployment.name,
      modelVersion: versionMessage(version),
      servingConfigJson: deployment.servingConfigJson,
      defaultVersion: isDefault,
      etag,
      aliases: [...aliases],
    })),
  };
}

function routingTable(state: ServingState): MessageInitShape<typeof RoutingTableSchema> {
  return {
    sequence: BigInt(state.sequence),
    routes: state.routes.map(({ deployment, version, isDefault, addresses, aliases }) => ({
      deployment,
      version: BigInt(version.number),
      defaultVersion: isDefault,
      addresses: [...addresses],
      aliases: [...aliases],
      ...(version.signature === undefined ? {} : { signature: signatureMessage(version.signature) }),
    })),
    replicas: state.replicas.map((replica) => replicaMessage({ ...replica, expireTimeMs: 0 })),
  };
}

function replicaMessage({ replicaId, address, memoryBudgetBytes, draining, expireTimeMs }: ReplicaRecord) {
  return { replicaId, address, memoryBudgetBytes: BigInt(memoryBudgetBytes), draining, expireTime: timestampFromMs(expireTimeMs) };
}

/** A snapshot with what it is compared by: all of it but the sequence number, which other resources move. */
function keyed<S extends DescMessage>(schema: S, init: MessageInitShape<S>): { key: string; value: MessageShape<S> } {
  const value = create(schema, init);
  return { key: toJsonString(schema, create(schema, { ...init, sequence: 0n })), value };
}
