// Ready-made tasks over REST: each path is the twin of a gRPC call and goes through the same domain.

import { create, fromBinary, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { TasksService } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import type { FastifyInstance } from "fastify";
import { messageToJson } from "../domain/message-json.ts";
import type { TaskCalls } from "../domain/task-calls.ts";
import { sendCompressed } from "./compression.ts";
import { callerOfRequest, route } from "./http-caller.ts";
import { taskFieldsOf, type TaskFields } from "./task-fields.ts";

type TaskDesc = (typeof TasksService.methods)[number];

/** Registers `POST /v1/tasks/…`. */
export function taskRoutes(app: FastifyInstance, call: TaskCalls): void {
  /** Serves a task: its fields become the message of the gRPC call, whose answer comes back as JSON. */
  const task = <D extends DescMessage>(path: string, desc: TaskDesc & { readonly input: D }, fileKey: string, extra: readonly string[], read: (fields: TaskFields) => Omit<MessageInitShape<D>, "model" | "modelVersion">): void => {
    route(app, "POST", `/v1/tasks/${path}`, async (request, reply) => {
      const caller = callerOfRequest(request, reply);
      const fields = await taskFieldsOf(request, fileKey, ["model", "version", fileKey, ...extra]);
      const model = fields.text("model");
      if (model === undefined || model === "") throw new StatusError("FIELD_REQUIRED", `model is missing: name a deployment, e.g. POST /v1/tasks/${path}?model=NAME`, { metadata: { field: "model" } });
      const message = create(desc.input, { model, modelVersion: fields.text("version") ?? "", ...read(fields) } as unknown as MessageInitShape<D>);
      const answer = fromBinary(desc.output, await call(desc.name, toBinary(desc.input, message), caller));
      return sendCompressed(request, reply.type("application/json"), Buffer.from(messageToJson<DescMessage>(desc.output, answer)));
    });
  };
  const { classifyImage, classifyText, embedText, detectSpeech, readText } = TasksService.method;

  task("classify-image", classifyImage, "image", ["top_k"], (fields) => ({ image: fields.file("image"), topK: fields.whole("top_k") ?? 0 }));
  task("read-text", readText, "image", [], (fields) => ({ image: fields.file("image") }));
  task("detect-speech", detectSpeech, "audio", ["threshold"], (fields) => {
    const threshold = fields.number("threshold");
    return { audio: fields.file("audio"), ...(threshold !== undefined && { threshold }) };
  });
  task("classify-text", classifyText, "text", ["texts", "top_k"], (fields) => ({ texts: textsOf(fields), topK: fields.whole("top_k") ?? 0 }));
  task("embed-text", embedText, "text", ["texts", "dimensions"], (fields) => ({ texts: textsOf(fields), dimensionCount: fields.whole("dimensions") ?? 0 }));
}

/** `text` for one, `texts` for several. */
function textsOf(fields: TaskFields): string[] {
  const [one, several] = [fields.texts("text"), fields.texts("texts")];
  if (one !== undefined && several !== undefined) throw new StatusError("FIELD_INVALID", "text and texts exclude each other: send one of them", { metadata: { field: "texts" } });
  const texts = several ?? one;
  if (texts === undefined) throw new StatusError("FIELD_REQUIRED", "texts is missing: send a list of texts, or one text as text", { metadata: { field: "texts" } });
  return [...texts];
}
