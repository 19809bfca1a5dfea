import { requireRole } from "@servable/auth";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { proxyService, type GrpcJsChannel, type ProxyRegistration } from "@servable/grpc";

/** Calls that the platform's own services make of each other: they show or change all projects at once. */
const INTERNAL_METHODS = new Set(["ReportReplica", "WatchAssignments", "WatchRoutingTable", "ListReplicas"].map((name) => `/${DeploymentService.typeName}/${name}`));

/** Registry and training calls, passed on with the caller's identity: the services behind check roles and projects. */
export function controlProxies(registry: GrpcJsChannel, training: GrpcJsChannel): ProxyRegistration[] {
  return [
    proxyService(ModelRegistryService, () => registry),
    proxyService(DeploymentService, (method, { identity }) => {
      if (INTERNAL_METHODS.has(method)) requireRole(identity, "admin");
      return registry;
    }),
    proxyService(TrainingService, () => training),
  ];
}
