import { StatusError } from "@servable/errors";
import type { FastifyInstance } from "fastify";
import { objectOf } from "../domain/infer-json.ts";
import { parseLossless } from "../domain/json-text.ts";
import type { ModelReference } from "../domain/model-reference.ts";
import type { Predict } from "../domain/predict.ts";
import type { Router } from "../domain/router.ts";
import { sendCompressed } from "./compression.ts";
import { bodyOf, callerOfRequest, route } from "./http-caller.ts";

/** "m:predict" or "m/versions/3:predict", behind /v1/models/. */
const CALL = /^(?<model>[^:]+?)(?:\/versions\/(?<version>[^/:]+))?:predict$/;

/** Registers `POST /v1/models/{model}:predict` and `POST /predict`. */
export function predictRoutes(app: FastifyInstance, { router, predict }: { router: Router; predict: Predict }): void {
  // The router's patterns know no ":" inside a segment, so the tail is taken whole.
  app.post("/v1/models/*", async (request, reply) => {
    const caller = callerOfRequest(request, reply);
    const { "*": tail = "" } = request.params as { "*"?: string };
    const { model, version = "" } = CALL.exec(tail)?.groups ?? {};
    if (model === undefined) throw new StatusError("ROUTE_UNKNOWN", `there is nothing at POST /v1/models/${tail}: call POST /v1/models/{model}:predict`);
    const body = bodyOf(request);
    const text = await predict({ model, version }, objectOf(parseLossless(body), "the body"), body.length, caller);
    return sendCompressed(request, reply.type("application/json"), Buffer.from(text));
  });

  route(app, "POST", "/predict", async (request, reply) => {
    const caller = callerOfRequest(request, reply);
    const bytes = bodyOf(request);
    const { model, ...body } = objectOf(parseLossless(bytes), "the body");
    const reference = model === undefined ? onlyModel(router, caller.identity.project) : { model: nameOf(model), version: "" };
    const text = await predict(reference, body, bytes.length, caller);
    return sendCompressed(request, reply.type("application/json"), Buffer.from(text));
  });
}

function nameOf(model: unknown): string {
  if (typeof model === "string") return model;
  throw new StatusError("FIELD_INVALID", "model must be a text", { metadata: { field: "model" } });
}

function onlyModel(router: Router, project: string): ModelReference {
  const models = [...new Set(router.list(project).map(({ model }) => model))].toSorted();
  const [model] = models;
  if (model !== undefined && models.length === 1) return { model, version: "" };
  if (model === undefined) throw new StatusError("MODEL_NOT_FOUND", "no model is deployed: deploy one with `servable deploy NAME`");
  throw new StatusError("FIELD_REQUIRED", `several models are deployed, so name one as "model": ${models.join(", ")}`, { metadata: { field: "model" } });
}
