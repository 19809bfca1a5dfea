// The Open Inference Protocol over REST: each path is the twin of a gRPC call and goes through the same domain.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ModelConfigRequestSchema,
  ModelConfigResponseSchema,
  ModelMetadataResponseSchema,
  ModelReadyRequestSchema,
  ModelReadyResponseSchema,
  ModelStatisticsResponseSchema,
  ServerMetadataResponseSchema,
} from "@servable/contracts/open-inference/grpc_service";
import { ModelConfigSchema } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { messageToJson } from "../domain/message-json.ts";
import type { RestInfer } from "../domain/rest-infer.ts";
import type { Router } from "../domain/router.ts";
import { serverMetadata } from "../domain/server-metadata.ts";
import type { ProtocolParts } from "../domain/protocol-parts.ts";
import { sendCompressed } from "./compression.ts";
import { bodyOf, callerOfRequest, referenceOf, route } from "./http-caller.ts";

/** Where the JSON ends and binary tensors begin, in requests and answers. */
const JSON_LENGTH_HEADER = "inference-header-content-length";

/** Registers the protocol's paths, repository paths excepted. */
export function openInferenceRoutes(app: FastifyInstance, { server, router, inference, questions, restInfer }: Pick<ProtocolParts, "server" | "inference" | "questions"> & { router: Router; restInfer: RestInfer }): void {
  const json = (reply: FastifyReply, text: string): FastifyReply => reply.type("application/json").send(text);

  for (const url of ["/v2/models/:model", "/v2/models/:model/versions/:version"]) {
    route(app, "GET", url, async (request, reply) => {
      return json(reply, messageToJson(ModelMetadataResponseSchema, await questions.metadata(referenceOf(request), callerOfRequest(request, reply))));
    });
  }
  for (const url of ["/v2/models/stats", "/v2/models/:model/stats", "/v2/models/:model/versions/:version/stats"]) {
    route(app, "GET", url, async (request, reply) => {
      const bytes = await questions.statistics(referenceOf(request), callerOfRequest(request, reply));
      return json(reply, messageToJson(ModelStatisticsResponseSchema, fromBinary(ModelStatisticsResponseSchema, bytes)));
    });
  }
  route(app, "GET", "/v2", async (request, reply) => json(reply, messageToJson(ServerMetadataResponseSchema, await serverMetadata(server, inference, callerOfRequest(request, reply)))));
  route(app, "GET", "/v2/health/live", async () => ({ live: true }));
  route(app, "GET", "/v2/health/ready", async (_, reply) => reply.code(router.ready ? 200 : 503).send({ ready: router.ready }));
  for (const prefix of ["/v2/models/:model", "/v2/models/:model/versions/:version"]) {
    route(app, "GET", `${prefix}/config`, async (request, reply) => {
      const { model: name, version } = referenceOf(request);
      const bytes = toBinary(ModelConfigRequestSchema, create(ModelConfigRequestSchema, { name, version }));
      const { config } = fromBinary(ModelConfigResponseSchema, await inference.ask("ModelConfig", { model: name, version }, bytes, callerOfRequest(request, reply)));
      if (config === undefined) throw new StatusError("INTERNAL", `the replica answered no configuration of ${name}`);
      return json(reply, messageToJson(ModelConfigSchema, config));
    });
    route(app, "GET", `${prefix}/ready`, async (request, reply) => {
      const { model: name, version } = referenceOf(request);
      const caller = callerOfRequest(request, reply);
      const served = router.peek(caller.identity.project, { model: name, version }) !== undefined;
      const bytes = toBinary(ModelReadyRequestSchema, create(ModelReadyRequestSchema, { name, version }));
      const ready = served && fromBinary(ModelReadyResponseSchema, await inference.ask("ModelReady", { model: name, version }, bytes, caller)).ready;
      // The protocol wants 400 here, whatever the reason.
      return ready ? { name, ready } : reply.code(400).send({ error: "Model version not ready" });
    });
    route(app, "POST", `${prefix}/infer`, async (request, reply) => {
      const bytes = bodyOf(request);
      const { body, jsonLength } = await restInfer(referenceOf(request), bytes, jsonLengthOf(request, bytes.length), callerOfRequest(request, reply));
      if (jsonLength === undefined) void reply.type("application/json");
      else void reply.type("application/octet-stream").header(JSON_LENGTH_HEADER, jsonLength);
      return sendCompressed(request, reply, body);
    });
  }
}

function jsonLengthOf(request: FastifyRequest, bodyLength: number): number | undefined {
  const text = request.headers[JSON_LENGTH_HEADER];
  if (text === undefined) return undefined;
  const length = Number(text);
  if (Number.isInteger(length) && length >= 0 && length <= bodyLength) return length;
  throw new StatusError("FIELD_INVALID", `Inference-Header-Content-Length is "${String(text)}", but the body has ${bodyLength} bytes: send the length of its JSON part`);
}
