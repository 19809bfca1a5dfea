import { TasksService } from "@servable/contracts/inference/v1/tasks";
import { implementRaw, type CallContext, type ServiceRegistration } from "@servable/grpc";
import type { TaskCalls, TaskMethod } from "../domain/task-calls.ts";
import { callerOf } from "./caller-of.ts";

/** Ready-made tasks over gRPC: answered by the replica that serves the model, as bytes. */
export function tasksProxy(call: TaskCalls): ServiceRegistration {
  const pass = (method: TaskMethod) => (request: Uint8Array, context: CallContext) => call(method, request, callerOf(context));
  return implementRaw(TasksService, {
    classifyImage: pass("ClassifyImage"),
    classifyText: pass("ClassifyText"),
    embedText: pass("EmbedText"),
    detectSpeech: pass("DetectSpeech"),
    readText: pass("ReadText"),
  });
}
