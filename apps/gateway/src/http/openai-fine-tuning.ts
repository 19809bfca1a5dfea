import { Readable } from "node:stream";
import { FineTuningService } from "@servable/contracts/training/v1/fine_tuning";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { StatusError } from "@servable/errors";
import { createClient, type CallOptions, type GrpcJsChannel } from "@servable/grpc";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { checkpointObject, eventObject, fileObject, jobObject, jobOfBody } from "../domain/openai-fine-tuning.ts";
import { refuse } from "../domain/openai-fields.ts";
import { bodyOf, callerOfRequest, jsonBodyOf, route, routes } from "./http-caller.ts";

const CALL_TIMEOUT_MS = 60_000;
/** Files take as long as their line is slow. */
const FILE_TIMEOUT_MS = 30 * 60_000;
/** Chunks of an upload are at most 1 MiB. */
const CHUNK_BYTES = 1024 * 1024;
const FILES_LIMIT = { usual: 10_000, max: 10_000 };
const JOBS_LIMIT = { usual: 20, max: 1_000 };
const CHECKPOINTS_LIMIT = { usual: 10, max: 1_000 };

/** Registers OpenAI's /v1/files and /v1/fine_tuning over the training service, which checks roles and projects. */
export function openAiFineTuningRoutes(app: FastifyInstance, training: GrpcJsChannel): void {
  const tuning = createClient(FineTuningService, training);
  const trainings = createClient(TrainingService, training);

  const optionsOf = (request: FastifyRequest, reply: FastifyReply, timeoutMs = CALL_TIMEOUT_MS): CallOptions => {
    const { identity, signal } = callerOfRequest(request, reply);
    return { identity, signal, timeoutMs };
  };
  const parentOf = (request: FastifyRequest): string => `projects/${request.identity?.project ?? ""}`;
  const fileName = (request: FastifyRequest): string => `${parentOf(request)}/files/${idIn(request)}`;
  const jobName = (request: FastifyRequest): string => `${parentOf(request)}/fineTuningJobs/${idIn(request)}`;

  routes(app, "/v1/files", {
    POST: async (request, reply) => {
      const { filename, purpose, expireAfterSeconds, bytes } = await uploadOf(request);
      const messages = function* () {
        yield { payload: { case: "head" as const, value: { parent: parentOf(request), file: { filename, purpose }, expireAfterSeconds } } };
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield { payload: { case: "chunk" as const, value: bytes.subarray(at, at + CHUNK_BYTES) } };
      };
      return fileObject(await tuning.uploadFile(messages(), optionsOf(request, reply, FILE_TIMEOUT_MS)));
    },
    GET: async (request, reply) => {
      const query = queryOf(request);
      const { files, more } = await tuning.listFiles({ parent: parentOf(request), purpose: query["purpose"] ?? "", pageSize: limitOf(query, FILES_LIMIT), after: query["after"] ?? "", ascending: query["order"] === "asc" }, optionsOf(request, reply));
      const data = files.map(fileObject);
      return { object: "list", data, has_more: more, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    },
  });
  routes(app, "/v1/files/:id", {
    GET: async (request, reply) => fileObject(await tuning.getFile({ name: fileName(request) }, optionsOf(request, reply))),
    DELETE: async (request, reply) => {
      await tuning.deleteFile({ name: fileName(request) }, optionsOf(request, reply));
      return { id: idIn(request), object: "file", deleted: true };
    },
  });
  route(app, "GET", "/v1/files/:id/content", async (request, reply) => {
    const options = optionsOf(request, reply, FILE_TIMEOUT_MS);
    const { filename } = await tuning.getFile({ name: fileName(request) }, options);
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      for await (const { chunk } of tuning.readFile({ name: fileName(request) }, options)) yield chunk;
    };
    // What callers stored is never shown by a browser as a page of this origin.
    void reply.type("application/octet-stream").header("content-disposition", `attachment; filename*=UTF-8''${encodeURIComponent(filename)}`).header("x-content-type-options", "nosniff");
    return reply.send(Readable.from(bytes()));
  });

  routes(app, "/v1/fine_tuning/jobs", {
    POST: async (request, reply) => jobObject(await tuning.createFineTuningJob({ parent: parentOf(request), fineTuningJob: jobOfBody(jsonBodyOf(request)) }, optionsOf(request, reply))),
    GET: async (request, reply) => {
      const query = queryOf(request);
      const metadata = Object.fromEntries(Object.entries(query).flatMap(([key, value]) => /^metadata\[(.+)\]$/.exec(key)?.slice(1, 2).map((name) => [name, value]) ?? []));
      const { fineTuningJobs, more } = await tuning.listFineTuningJobs({ parent: parentOf(request), pageSize: limitOf(query, JOBS_LIMIT), after: query["after"] ?? "", metadata }, optionsOf(request, reply));
      return { object: "list", data: fineTuningJobs.map(jobObject), has_more: more };
    },
  });
  route(app, "GET", "/v1/fine_tuning/jobs/:id", async (request, reply) => jobObject(await tuning.getFineTuningJob({ name: jobName(request) }, optionsOf(request, reply))));
  route(app, "POST", "/v1/fine_tuning/jobs/:id/cancel", async (request, reply) => jobObject(await tuning.cancelFineTuningJob({ name: jobName(request) }, optionsOf(request, reply))));
  route(app, "POST", "/v1/fine_tuning/jobs/:id/pause", async (request, reply) => jobObject(await tuning.pauseFineTuningJob({ name: jobName(request) }, optionsOf(request, reply))));
  route(app, "POST", "/v1/fine_tuning/jobs/:id/resume", async (request, reply) => jobObject(await tuning.resumeFineTuningJob({ name: jobName(request) }, optionsOf(request, reply))));
  route(app, "GET", "/v1/fine_tuning/jobs/:id/events", async (request, reply) => {
    const query = queryOf(request);
    const { events, more } = await tuning.listFineTuningEvents({ name: jobName(request), pageSize: limitOf(query, JOBS_LIMIT), after: query["after"] ?? "" }, optionsOf(request, reply));
    return { object: "list", data: events.map(eventObject), has_more: more };
  });
  route(app, "GET", "/v1/fine_tuning/jobs/:id/checkpoints", async (request, reply) => {
    const options = optionsOf(request, reply);
    const query = queryOf(request);
    const job = await tuning.getFineTuningJob({ name: jobName(request) }, options);
    const found = job.trainingJob === "" ? [] : (await trainings.listTrainingCheckpoints({ parent: job.trainingJob }, options)).checkpoints;
    const all = found.map((checkpoint) => checkpointObject(job, checkpoint));
    const from = query["after"] === undefined ? 0 : all.findIndex(({ id }) => id === query["after"]) + 1;
    const limit = limitOf(query, CHECKPOINTS_LIMIT);
    const data = all.slice(from, from + limit);
    return { object: "list", data, has_more: from + limit < all.length, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  });
}

function idIn(request: FastifyRequest): string {
  const { id = "" } = request.params as { id?: string };
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw new StatusError(id.startsWith("ftjob") ? "FINE_TUNING_JOB_NOT_FOUND" : "FILE_NOT_FOUND", `"${id.slice(0, 64)}" is no id`, { metadata: { id: id.slice(0, 64) } });
  return id;
}

function queryOf(request: FastifyRequest): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(request.query as Record<string, unknown>).filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

function limitOf(query: Readonly<Record<string, string>>, { usual, max }: { readonly usual: number; readonly max: number }): number {
  if (query["limit"] === undefined) return usual;
  const limit = Number(query["limit"]);
  if (!Number.isInteger(limit) || limit < 1 || limit > max) throw refuse("limit", `must be a whole number from 1 to ${max}`);
  return limit;
}

/** The parts of an upload's form. @throws StatusError naming the part */
async function uploadOf(request: FastifyRequest): Promise<{ filename: string; purpose: string; expireAfterSeconds: bigint; bytes: Uint8Array }> {
  if (request.bodyType.split(";")[0]?.trim().toLowerCase() !== "multipart/form-data") throw refuse("file", "must be sent as multipart/form-data, with the parts file and purpose");
  let form: FormData;
  try {
    form = await new Response(Buffer.from(bodyOf(request)), { headers: { "content-type": request.bodyType } }).formData();
  } catch (error) {
    throw new StatusError("MESSAGE_MALFORMED", "the form cannot be read: send multipart/form-data with a boundary and closed parts", { cause: error });
  }
  const [file, purpose, anchor, seconds] = ["file", "purpose", "expires_after[anchor]", "expires_after[seconds]"].map((key) => form.get(key));
  if (file === null || file === undefined || typeof file === "string") throw new StatusError("FIELD_REQUIRED", "you must provide a file part with a filename", { metadata: { field: "file" } });
  if (typeof purpose !== "string") throw new StatusError("FIELD_REQUIRED", "you must provide a purpose part", { metadata: { field: "purpose" } });
  if (anchor !== null && anchor !== undefined && anchor !== "created_at") throw refuse("expires_after[anchor]", 'must be "created_at"');
  if (typeof seconds === "string" && !/^\d{1,9}$/.test(seconds)) throw refuse("expires_after[seconds]", "must be a whole number");
  return { filename: file.name, purpose, expireAfterSeconds: typeof seconds === "string" ? BigInt(seconds) : 0n, bytes: new Uint8Array(await file.arrayBuffer()) };
}
