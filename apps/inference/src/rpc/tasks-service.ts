import { requireRole } from "@servable/auth";
import { TasksService } from "@servable/contracts/inference/v1/tasks";
import { StatusError } from "@servable/errors";
import { implement, type CallContext, type ServiceRegistration } from "@servable/grpc";
import type { InferContext } from "../domain/executors/executor.ts";
import type { TaskDeps, TaskModel } from "../domain/tasks/task-model.ts";
import type { Tasks } from "../domain/tasks/tasks.ts";

/** servable.inference.v1.TasksService over the models of this replica. */
export function tasksService(tasks: Tasks, resolve: TaskDeps["resolve"]): ServiceRegistration {
  const begin = ({ model, modelVersion }: { model: string; modelVersion: string }, { identity, signal, deadline, requestId }: CallContext): { model: TaskModel; context: InferContext; answered: { model: string; modelVersion: string } } => {
    requireRole(identity, "user");
    if (model === "") throw new StatusError("FIELD_REQUIRED", "model must be specified: name a deployment", { metadata: { field: "model" } });
    const found = resolve(identity.project, model, modelVersion);
    return { model: found, context: { signal, deadline, project: identity.project, requestId }, answered: { model: found.name, modelVersion: String(found.version) } };
  };
  const required = (field: string, bytes: Uint8Array): Uint8Array => {
    if (bytes.length > 0) return bytes;
    throw new StatusError("FIELD_REQUIRED", `${field} is empty: send the bytes of a file`, { metadata: { field } });
  };

  return implement(TasksService, {
    async classifyImage(request, call) {
      const { model, context, answered } = begin(request, call);
      return { ...answered, labels: await tasks.classifyImage(model, required("image", request.image), request.topK, context) };
    },
    async classifyText(request, call) {
      const { model, context, answered } = begin(request, call);
      const results = await tasks.classifyText(model, request.texts, request.topK, context);
      return { ...answered, results: results.map(({ labels, ...rest }) => ({ labels: [...labels], ...rest })) };
    },
    async embedText(request, call) {
      const { model, context, answered } = begin(request, call);
      const { texts, tokenIds, dimensionCount } = request;
      const embeddings = await tasks.embedText(model, { texts, tokenIds: tokenIds.map(({ ids }) => ids), dimensionCount }, context);
      return { ...answered, embeddings: embeddings.map(({ values, ...rest }) => ({ values: [...values], ...rest })) };
    },
    async detectSpeech(request, call) {
      const { model, context, answered } = begin(request, call);
      const { segments, audioMs } = await tasks.detectSpeech(model, required("audio", request.audio), request.threshold, context);
      return {
        ...answered,
        segments: segments.map(({ startMs, endMs, probability }) => ({ startMs: BigInt(startMs), endMs: BigInt(endMs), probability })),
        audioMs: BigInt(audioMs),
        speechMs: BigInt(segments.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0)),
      };
    },
    async readText(request, call) {
      const { model, context, answered } = begin(request, call);
      const lines = await tasks.readText(model, required("image", request.image), context);
      return { ...answered, text: lines.map(({ text }) => text).join("\n"), lines: lines.map(({ text, probability, corners }) => ({ text, probability, corners: [...corners] })) };
    },
  });
}
