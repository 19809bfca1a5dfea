// Ready-made tasks on their way to a replica: routed like inference, recorded under the task's own name, one unit a picture,
// recording or text.

import { TasksService } from "@servable/contracts/inference/v1/tasks";
import type { Caller } from "./caller.ts";
import type { Inference, InferenceDeps } from "./inference.ts";
import { countFields, peekModel } from "./model-reference.ts";

/** A method of TasksService. */
export type TaskMethod = (typeof TasksService.methods)[number]["name"];

/** Passes an encoded request of a task on and answers its encoded response. @throws StatusError with the replica's reason */
export type TaskCalls = (method: TaskMethod, request: Uint8Array, caller: Caller) => Promise<Uint8Array>;

/** Fields of requests that hold several things to do. */
const TEXT_FIELDS: Readonly<Partial<Record<TaskMethod, readonly number[]>>> = {
  ClassifyText: [TasksService.method.classifyText.input.field.texts.number],
  EmbedText: [TasksService.method.embedText.input.field.texts.number, TasksService.method.embedText.input.field.tokenIds.number],
};

/** Calls of tasks over the replicas. */
export function createTaskCalls({ usage }: Pick<InferenceDeps, "usage">, inference: Pick<Inference, "ask">): TaskCalls {
  return async (method, request, caller) => {
    const reference = peekModel(request);
    return usage.measure(method, reference, caller, async (meter) => {
      meter.addBytes(request.length);
      const response = await inference.ask(method, reference, request, caller);
      meter.addBytes(response.length);
      const fields = TEXT_FIELDS[method];
      if (fields !== undefined) meter.setUnits(countFields(request, fields));
      return response;
    });
  };
}
