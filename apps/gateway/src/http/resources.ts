import type { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import type { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { deploymentOf, openAiName } from "../domain/openai-names.ts";
import type { Route, Router } from "../domain/router.ts";
import { callerOfRequest, route } from "./http-caller.ts";

const CALL_TIMEOUT_MS = 30_000;

/** Registers the list of models in OpenAI's shape, and the health paths. */
export function resourceRoutes(app: FastifyInstance, { router, registry, deployments }: { readonly router: Router; readonly registry: Client<typeof ModelRegistryService>; readonly deployments: Client<typeof DeploymentService> }): void {
  route(app, "GET", "/healthz", async () => ({ status: "ok" }));
  route(app, "GET", "/readyz", async (_, reply) => reply.code(router.ready ? 200 : 503).send({ status: router.ready ? "ok" : "waiting for the model registry" }));
  route(app, "GET", "/v1/models", async (request) => ({ object: "list", data: modelsOf(router, request) }));
  app.get("/v1/models/*", async (request) => {
    const { "*": id = "" } = request.params as { "*"?: string };
    const found = modelsOf(router, request).find((model) => model.id === openAiName(id));
    if (found === undefined) throw new StatusError("MODEL_NOT_FOUND", `there is no model ${id}: list them at /v1/models`, { metadata: { model: id } });
    return found;
  });
  app.delete("/v1/models/*", async (request, reply) => {
    const { "*": id = "" } = request.params as { "*"?: string };
    if (!id.startsWith("ft:")) throw new StatusError("PERMISSION_DENIED", `${id} is no fine-tuned model: only those are deleted here; undeploy others with \`servable undeploy\``);
    const { identity, signal } = callerOfRequest(request, reply);
    const options = { identity, signal, timeoutMs: CALL_TIMEOUT_MS };
    const [parent, name] = [`projects/${identity.project}`, deploymentOf(id)];
    await deployments.deleteDeployment({ name: `${parent}/deployments/${name}` }, options).catch((error: unknown) => {
      // An earlier call may have come this far.
      if (StatusError.from(error).reason !== "DEPLOYMENT_NOT_FOUND") throw error;
    });
    await registry.deleteModel({ name: `${parent}/models/${name}`, force: true }, options);
    return { id, object: "model", deleted: true };
  });
}

interface ModelObject {
  readonly id: string;
  readonly object: "model";
  /** Seconds since 1970; the routing table does not know when a model was deployed. */
  readonly created: 0;
  readonly owned_by: string;
  readonly versions: readonly string[];
}

function modelsOf(router: Router, request: FastifyRequest): ModelObject[] {
  const byModel = Map.groupBy(router.list(request.identity?.project ?? ""), ({ model }: Route) => model);
  return [...byModel].map(([id, routes]): ModelObject => ({ id: openAiName(id), object: "model", created: 0, owned_by: `projects/${routes[0]?.project ?? ""}`, versions: routes.map(({ version }) => version) })).toSorted((a, b) => a.id.localeCompare(b.id));
}
