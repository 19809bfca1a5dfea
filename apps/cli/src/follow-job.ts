import type { ServableClient } from "@servable/client";
import { TrainingJob_State, TrainingLogMessage_Severity, type TrainingJob } from "@servable/contracts/training/v1/training_job";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import { createTrainingProgress } from "./render/training-progress.ts";
import type { Output } from "./terminal.ts";

/** Shows a job's progress until it ends; returns the job that SUCCEEDED. @throws StatusError with the job's reason */
export async function followJob(client: ServableClient, name: string, output: Output, signal?: AbortSignal): Promise<TrainingJob> {
  const view = createTrainingProgress(output);
  try {
    for await (const { event } of client.training.watch(name, { signal })) {
      if (event.case === "progress") view.update(event.value);
      // What went another way than asked for belongs on the screen; the rest is in `servable jobs events`.
      if (event.case === "log" && event.value.severity !== TrainingLogMessage_Severity.INFO) view.note(event.value.text);
    }
  } finally {
    view.stop();
  }
  const job = await client.training.get(name);
  if (job.state === TrainingJob_State.SUCCEEDED) return job;
  if (job.state === TrainingJob_State.PAUSED) throw new StatusError("STATE_WRONG", `${name} is paused: servable jobs resume ${name.split("/").at(-1) ?? name}`);
  if (job.state === TrainingJob_State.CANCELLED) throw new StatusError("CANCELLED", `${name} was cancelled`);
  const reason: Reason = job.failureReason in REASONS ? (job.failureReason as Reason) : "INTERNAL";
  throw new StatusError(reason, `training failed: ${job.failureMessage || TrainingJob_State[job.state]}`, { metadata: { trainingJob: name } });
}
