import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import type { EvaluationReport } from "@servable/contracts/training/v1/evaluation";
import { TrainingCheckpointSchema, TrainingJobEventSchema, TrainingJobSchema, TrainingJob_State, type TrainingJob, type TrainingJobEvent } from "@servable/contracts/training/v1/training_job";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { followJob } from "../follow-job.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { formatTime, renderTable } from "../render/table.ts";
import { describeProgress } from "../render/training-progress.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable jobs …`: training jobs. */
export function jobsCommand(terminal: Terminal): Command {
  const command = new Command("jobs")
    .description("List, show, pause, resume, repeat and cancel training jobs.")
    .addHelpText("after", "\nExamples:\n  $ servable jobs list\n  $ servable jobs show j-4f7q2\n  $ servable jobs pause j-4f7q2\n  $ servable jobs resume j-4f7q2\n  $ servable jobs checkpoints j-4f7q2\n  $ servable jobs events j-4f7q2\n  $ servable jobs reproduce j-4f7q2\n  $ servable jobs cancel j-4f7q2\n  $ servable train --watch j-4f7q2");
  const one = (name: string, text: string, run: (job: string, options: CommonOptions) => Promise<void>): Command => withCommonOptions(new Command(name)).description(text).argument("<job>").action(run);
  return command
    .addCommand(
      withCommonOptions(new Command("list")).description("List the jobs of the project, newest first.").action((options: CommonOptions) =>
        withClient(options, terminal, async (client) => {
          const jobs = await client.training.list();
          if (options.json) return printJson(terminal, jobs.map((job) => toJson(TrainingJobSchema, job)));
          if (jobs.length === 0) return printLine(terminal, "no jobs yet: servable train --help");
          printLine(terminal, renderTable(["job", "model", "state", "queued (UTC)", "result"], jobs.map((job) => [lastPart(job.name), lastPart(job.model), TrainingJob_State[job.state], formatTime(job.createTime?.seconds), resultOf(job)])));
        }),
      ),
    )
    .addCommand(
      one("show", "Show a job with its evaluation.", (id, options) =>
        withClient(options, terminal, async (client) => {
          const job = await client.training.get(id);
          if (options.json) return printJson(terminal, toJson(TrainingJobSchema, job));
          printLine(terminal, `${lastPart(job.name)} · ${TrainingJob_State[job.state]} · model ${lastPart(job.model)} · data set ${lastPart(job.dataset)}\n${resultOf(job)}`);
          if (job.evaluation !== undefined) printLine(terminal, `\n${renderEvaluation(job.evaluation)}`);
        }),
      ),
    )
    .addCommand(
      one("pause", "Stop a job with a checkpoint; it waits for resume.", (id, options) =>
        withClient(options, terminal, async (client) => tell(terminal, options, await client.training.pause(id), (job) => (job.state === TrainingJob_State.PAUSED ? "is paused" : "writes a checkpoint and pauses"))),
      ),
    )
    .addCommand(
      one("resume", "Queue a paused job again; it goes on from its newest checkpoint.", (id, options) =>
        withClient(options, terminal, async (client) => tell(terminal, options, await client.training.resume(id), () => "is queued again")),
      ),
    )
    .addCommand(
      one("checkpoints", "List the checkpoints that a job keeps.", (id, options) =>
        withClient(options, terminal, async (client) => {
          const checkpoints = await client.training.checkpoints(id);
          if (options.json) return printJson(terminal, checkpoints.map((checkpoint) => toJson(TrainingCheckpointSchema, checkpoint)));
          if (checkpoints.length === 0) return printLine(terminal, "no checkpoints yet");
          const rows = checkpoints.map(({ step, epoch, sizeBytes, best, createTime, digest }) => [String(step), String(epoch), `${(Number(sizeBytes) / 1_024 ** 2).toFixed(1)} MiB`, best ? "best" : "", formatTime(createTime?.seconds), digest.slice(0, 19)]);
          printLine(terminal, renderTable(["step", "epoch", "size", "", "written (UTC)", "digest"], rows));
        }),
      ),
    )
    .addCommand(
      one("events", "Print what happened to a job, and what happens until it ends.", (id, options) =>
        withClient(options, terminal, async (client) => {
          for await (const event of client.training.watch(id)) printLine(terminal, options.json ? JSON.stringify(toJson(TrainingJobEventSchema, event)) : describeEvent(event));
        }),
      ),
    )
    .addCommand(
      one("reproduce", "Train a job again from its record and compare the weights bit by bit.", (id, options) =>
        withClient(options, terminal, async (client) => {
          const job = await followJob(client, (await client.training.reproduce(id)).name, options.json ? terminal.stderr : terminal.stdout);
          if (options.json) return printJson(terminal, toJson(TrainingJobSchema, job));
          printLine(terminal, `${lastPart(job.name)} gave the same weights as ${id}: ${job.runRecord?.weightsDigest ?? ""}`);
        }),
      ),
    )
    .addCommand(
      one("cancel", "Ask a job to stop.", (id, options) =>
        withClient(options, terminal, async (client) => {
          const job = await client.training.cancel(id);
          if (options.json) printJson(terminal, toJson(TrainingJobSchema, job));
          else printLine(terminal, `${lastPart(job.name)} is ${job.state === TrainingJob_State.CANCELLED ? "cancelled" : "asked to stop"}`);
        }),
      ),
    );
}

function resultOf(job: TrainingJob): string {
  if (job.state === TrainingJob_State.SUCCEEDED) return [job.modelVersion === "" ? "not registered" : `version ${lastPart(job.modelVersion)}`, ...mainMetric(job.evaluation)].join(", ");
  if (job.state === TrainingJob_State.FAILED) return `${job.failureReason}: ${job.failureMessage}`;
  return job.progress === undefined ? "" : describeProgress(job.progress);
}

function tell(terminal: Terminal, options: CommonOptions, job: TrainingJob, what: (job: TrainingJob) => string): void {
  if (options.json) printJson(terminal, toJson(TrainingJobSchema, job));
  else printLine(terminal, `${lastPart(job.name)} ${what(job)}`);
}

function describeEvent({ offset, time, event }: TrainingJobEvent): string {
  const at = `${String(offset).padStart(5)} ${formatTime(time?.seconds)}`;
  switch (event.case) {
    case "stateChanged":
      return `${at} ${TrainingJob_State[event.value.state]}${event.value.failureReason === "" ? "" : ` ${event.value.failureReason}: ${event.value.failureMessage}`}`;
    case "progress":
      return `${at} ${describeProgress(event.value)}`;
    case "log":
      return `${at} ${event.value.text}`;
    case "checkpoint":
      return `${at} checkpoint of step ${event.value.step}${event.value.best ? " (best)" : ""}`;
    case undefined:
      return at;
    default: {
      const never: never = event;
      return never;
    }
  }
}

/** The number by which a kind of result is known: accuracy, error or perplexity. */
function mainMetric(evaluation: EvaluationReport | undefined): string[] {
  if (evaluation === undefined) return [];
  for (const name of ["perplexity", "rmse"]) {
    const metric = evaluation.metrics[name];
    if (metric !== undefined) return [`${name} ${metric.value.toPrecision(4)}`];
  }
  return [`accuracy ${(evaluation.accuracy * 100).toFixed(1)} %`];
}
