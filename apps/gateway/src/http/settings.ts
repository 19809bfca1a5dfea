import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { LogSettingsRequestSchema, LogSettingsResponseSchema, TraceSettingRequestSchema, TraceSettingResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { FastifyInstance, RouteHandlerMethod } from "fastify";
import type { ProtocolParts } from "../domain/protocol-parts.ts";
import { callerOfRequest, jsonBodyOf, referenceOf, routes } from "./http-caller.ts";

/** The one trace setting that is a list; all others are single texts. */
const LIST_SETTING = "trace_level";

/** Registers the trace and logging extensions. */
export function settingsRoutes(app: FastifyInstance, { settings }: Pick<ProtocolParts, "settings">): void {
  const trace: RouteHandlerMethod = async (request, reply) => {
    const change = Object.entries(request.method === "POST" ? jsonBodyOf(request) : {}).map(([key, value]) => [key, { value: traceValues(key, value) }] as const);
    const message = create(TraceSettingRequestSchema, { modelName: referenceOf(request).model, settings: Object.fromEntries(change) });
    const answer = fromBinary(TraceSettingResponseSchema, await settings.trace(toBinary(TraceSettingRequestSchema, message), callerOfRequest(request, reply)));
    return Object.fromEntries(Object.entries(answer.settings).map(([key, { value }]) => [key, key === LIST_SETTING ? value : (value[0] ?? "")]));
  };
  const log: RouteHandlerMethod = async (request, reply) => {
    const change = Object.entries(request.method === "POST" ? jsonBodyOf(request) : {}).map(([key, value]) => [key, { parameterChoice: logChoice(key, value) }] as const);
    const message = create(LogSettingsRequestSchema, { settings: Object.fromEntries(change) });
    const answer = fromBinary(LogSettingsResponseSchema, await settings.log(toBinary(LogSettingsRequestSchema, message), callerOfRequest(request, reply)));
    return Object.fromEntries(Object.entries(answer.settings).map(([key, { parameterChoice }]) => [key, parameterChoice.value]));
  };
  for (const url of ["/v2/trace/setting", "/v2/models/:model/trace/setting"]) routes(app, url, { GET: trace, POST: trace });
  routes(app, "/v2/logging", { GET: log, POST: log });
}

/** The values of a setting; none = follow the setting above again. */
function traceValues(key: string, value: unknown): string[] {
  if (value === null) return [];
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  const texts = values.map((each) => (typeof each === "number" ? String(each) : each));
  if (texts.length > 0 && texts.every((each) => typeof each === "string")) return texts;
  throw new StatusError("FIELD_INVALID", `the trace setting '${key}' must be a text, a list of texts, or null`, { metadata: { field: key } });
}

function logChoice(key: string, value: unknown) {
  if (typeof value === "boolean") return { case: "boolParam" as const, value };
  if (typeof value === "string") return { case: "stringParam" as const, value };
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 2 ** 32) return { case: "uint32Param" as const, value };
  throw new StatusError("FIELD_INVALID", `the log setting '${key}' must be true, false, a text or a whole number from 0 on`, { metadata: { field: key } });
}
