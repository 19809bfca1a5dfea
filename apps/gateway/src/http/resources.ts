import { StatusError } from "@servable/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Route, Router } from "../domain/router.ts";
import { route } from "./http-caller.ts";

/** Registers the list of models in OpenAI's shape, and the health paths. */
export function resourceRoutes(app: FastifyInstance, router: Router): void {
  route(app, "GET", "/healthz", async () => ({ status: "ok" }));
  route(app, "GET", "/readyz", async (_, reply) => reply.code(router.ready ? 200 : 503).send({ status: router.ready ? "ok" : "waiting for the model registry" }));
  route(app, "GET", "/v1/models", async (request) => ({ object: "list", data: modelsOf(router, request) }));
  app.get("/v1/models/*", async (request) => {
    const { "*": id = "" } = request.params as { "*"?: string };
    const found = modelsOf(router, request).find((model) => model.id === id);
    if (found === undefined) throw new StatusError("MODEL_NOT_FOUND", `there is no model ${id}: list them at /v1/models`, { metadata: { model: id } });
    return found;
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
  return [...byModel].map(([id, routes]): ModelObject => ({ id, object: "model", created: 0, owned_by: `projects/${routes[0]?.project ?? ""}`, versions: routes.map(({ version }) => version) })).toSorted((a, b) => a.id.localeCompare(b.id));
}
