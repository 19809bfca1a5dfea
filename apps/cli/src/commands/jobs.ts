import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { TrainingJobSchema, TrainingJob_State, type TrainingJob } from "@servable/contracts/training/v1/training_job";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { formatTime, renderTable } from "../render/table.ts";
import { describeProgress } from "../render/training-progress.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable jobs …`: training jobs. */
export function jobsCommand(terminal: Terminal): Command {
  const command = new Command("jobs")
    .description("List, show and cancel training jobs.")
    .addHelpText("after", "\nExamples:\n  $ servable jobs list\n  $ servable jobs show j-4f7q2\n  $ servable jobs cancel j-4f7q2\n  $ servable train --watch j-4f7q2");
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
  if (job.state === TrainingJob_State.SUCCEEDED) return `version ${lastPart(job.modelVersion)}, accuracy ${((job.evaluation?.accuracy ?? 0) * 100).toFixed(1)} %`;
  if (job.state === TrainingJob_State.FAILED) return `${job.failureReason}: ${job.failureMessage}`;
  return job.progress === undefined ? "" : describeProgress(job.progress);
}
