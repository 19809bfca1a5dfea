import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { requireRole } from "@servable/auth";
import { RepositoryIndexResponseSchema, RepositoryModelLoadRequestSchema, RepositoryModelUnloadRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { objectOf } from "../domain/infer-json.ts";
import type { ProtocolParts } from "../domain/protocol-parts.ts";
import { callerOfRequest, jsonBodyOf, referenceOf, route } from "./http-caller.ts";

type ParameterInits = MessageInitShape<typeof RepositoryModelLoadRequestSchema>["parameters"];

/** Registers the model repository extension: index, load and unload. */
export function modelRepositoryRoutes(app: FastifyInstance, { inference, questions }: Pick<ProtocolParts, "inference" | "questions">): void {
  for (const prefix of ["/v2/repository", "/v2/repository/:repository"]) {
    route(app, "POST", `${prefix}/index`, async (request, reply) => {
      const ready = readyOf(request);
      const bytes = await questions.index(ready, callerOfRequest(request, reply));
      return fromBinary(RepositoryIndexResponseSchema, bytes).models.map(({ name, version, state, reason }) => ({ name, ...(version !== "" && { version }), state, reason }));
    });
    for (const [verb, method, schema] of [
      ["load", "RepositoryModelLoad", RepositoryModelLoadRequestSchema],
      ["unload", "RepositoryModelUnload", RepositoryModelUnloadRequestSchema],
    ] as const) {
      route(app, "POST", `${prefix}/models/:model/${verb}`, async (request, reply) => {
        requireRole(request.identity, "developer");
        const { model: modelName } = referenceOf(request);
        const parameters = repositoryParameters(objectOf(jsonBodyOf(request)["parameters"] ?? {}, "parameters"));
        const message = toBinary(schema, create(schema, { modelName, parameters }));
        await inference.changeRepository(method, modelName, message, callerOfRequest(request, reply));
        return reply.send();
      });
    }
  }
}

/** The one field of an index request: whatever nests in its place is no boolean either. */
function readyOf(request: FastifyRequest): boolean {
  let ready: unknown;
  try {
    ready = jsonBodyOf(request)["ready"] ?? false;
  } catch (error) {
    if (!(error instanceof StatusError) || error.metadata["limit"] !== "nesting") throw error;
    throw new StatusError("FIELD_INVALID", `Invalid value for 'ready': expected a boolean (${error.message})`, { metadata: { field: "ready" }, cause: error });
  }
  if (typeof ready === "boolean") return ready;
  throw new StatusError("FIELD_INVALID", "Invalid value for 'ready': expected a boolean", { metadata: { field: "ready" } });
}

function repositoryParameters(parameters: Readonly<Record<string, unknown>>): NonNullable<ParameterInits> {
  const inits: NonNullable<ParameterInits> = {};
  for (const [key, value] of Object.entries(parameters)) {
    if (typeof value === "boolean") inits[key] = { parameterChoice: { case: "boolParam", value } };
    else if (typeof value === "number" && Number.isSafeInteger(value)) inits[key] = { parameterChoice: { case: "int64Param", value: BigInt(value) } };
    else if (typeof value !== "string") throw new StatusError("FIELD_INVALID", `parameters.${key} must be a text, a whole number, true or false`);
    // Model files come as base64, everything else as it is.
    else if (key.startsWith("file:")) inits[key] = { parameterChoice: { case: "bytesParam", value: Buffer.from(value, "base64") } };
    else inits[key] = { parameterChoice: { case: "stringParam", value } };
  }
  return inits;
}
