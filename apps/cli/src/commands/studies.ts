import { writeFile } from "node:fs/promises";
import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import type { ServableClient } from "@servable/client";
import { TuningStudySchema, TuningStudy_State, type TuningStudy } from "@servable/contracts/training/v1/tuning_study";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { readYaml } from "../message-file.ts";
import { wholeNumber } from "../option-parsers.ts";
import { createStudyView, describeStudy, describeValues, renderTrials } from "../render/study-view.ts";
import { formatTime, renderTable } from "../render/table.ts";
import { domainFromFlag, studyFromPlain } from "../study-file.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

const TRIALS_SHOWN = 20;

interface CreateOptions extends CommonOptions {
  readonly file?: string;
  readonly id?: string;
  readonly dataset?: string;
  readonly name?: string;
  readonly target?: string;
  readonly vary?: readonly string[];
  readonly metric?: string;
  readonly sampler?: string;
  readonly pruner?: string;
  readonly trials?: number;
  readonly parallel?: number;
  readonly folds?: number;
  readonly budget?: string;
  readonly seed?: number;
  readonly detach?: boolean;
}

/** `servable studies …`: searches for the best settings. */
export function studiesCommand(terminal: Terminal): Command {
  const command = new Command("studies")
    .description("Search for the best settings of a training: create, watch, show and cancel studies.")
    .addHelpText(
      "after",
      "\nExamples:\n  $ servable studies create --file study.yaml\n  $ servable studies watch adult-1\n  $ servable studies show adult-1\n  $ servable studies report adult-1 --output study.html",
    );
  const one = (name: string, text: string, run: (client: ServableClient, study: string, options: CommonOptions) => Promise<void>): Command =>
    withCommonOptions(new Command(name))
      .description(text)
      .argument("<study>")
      .action((study: string, options: CommonOptions) => withClient(options, terminal, (client) => run(client, study, options)));
  const say = (study: TuningStudy, options: CommonOptions, text: string): void => (options.json ? printJson(terminal, toJson(TuningStudySchema, study)) : printLine(terminal, text));
  return command
    .addCommand(createCommand(terminal))
    .addCommand(
      withCommonOptions(new Command("list").description("List the studies of the project, newest first.")).action((options: CommonOptions) =>
        withClient(options, terminal, async (client) => {
          const studies = await client.studies.list();
          if (options.json) return printJson(terminal, studies.map((study) => toJson(TuningStudySchema, study)));
          if (studies.length === 0) return printLine(terminal, "no studies yet: servable studies create --help");
          const rows = studies.map((study) => [lastPart(study.name), TuningStudy_State[study.state], trialsOf(study), bestOf(study), formatTime(study.createTime?.seconds), study.modelVersion === "" ? "" : `${lastPart(study.model)} version ${lastPart(study.modelVersion)}`]);
          printLine(terminal, renderTable(["study", "state", "trials", "best", "created (UTC)", "result"], rows));
        }),
      ),
    )
    .addCommand(
      one("show", "Show a study: its best trials and which settings matter.", async (client, id, options) => {
        const study = await client.studies.get(id);
        if (options.json) return printJson(terminal, toJson(TuningStudySchema, study));
        await printStudy(client, study, terminal);
      }),
    )
    .addCommand(
      one("watch", "Show a study's trials as they come, until it ends.", async (client, id, options) => {
        await endOf(client, id, terminal, options);
      }),
    )
    .addCommand(one("cancel", "End a study; what it found stays.", async (client, id, options) => say(await client.studies.cancel(id), options, `${id} is cancelled`)))
    .addCommand(one("pause", "Begin no further trials.", async (client, id, options) => say(await client.studies.pause(id), options, `${id} is paused\nNext: servable studies resume ${id}`)))
    .addCommand(one("resume", "Go on with a paused study.", async (client, id, options) => say(await client.studies.resume(id), options, `${id} goes on`)))
    .addCommand(
      withCommonOptions(new Command("report"))
        .description("Write a study's report: an HTML page that is complete in itself.")
        .argument("<study>")
        .option("--output <file>", "where to (default: <study>.html)")
        .action((study: string, options: CommonOptions & { readonly output?: string }) =>
          withClient(options, terminal, async (client) => {
            const file = options.output ?? `${lastPart(study)}.html`;
            await writeFile(file, await client.studies.report(study));
            if (options.json) printJson(terminal, { file });
            else printLine(terminal, `${file} is written`);
          }),
        ),
    );
}

function createCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("create"))
    .description("Begin a study and follow it.")
    .option("--file <study.yaml>", "the study as YAML or JSON; flags win over it")
    .option("--id <study>", "id of the study (default: chosen by the service)")
    .option("--dataset <id>", "data set")
    .option("--name <model>", "model that the best result becomes a version of")
    .option("--target <column>", "column of a table to predict")
    .option("--vary <field=values>", "what to vary: learning_rate=1e-4..1:log, batch_size=8..64:8, family=MLP,LOGISTIC_REGRESSION; several times", (text: string, before: string[] = []) => [...before, text])
    .option("--metric <name>", "what is good: accuracy, auc, f1_macro, rmse, … (default: loss)")
    .option("--sampler <algorithm>", "tpe, sobol, random or grid (default: tpe)")
    .option("--pruner <rule>", "median, asha, hyperband, … (default: none)")
    .option("--trials <n>", "trials in all (default: 50)", wholeNumber(1))
    .option("--parallel <n>", "trials at once (default: 1)", wholeNumber(1))
    .option("--folds <k>", "judge each trial by k folds", wholeNumber(2))
    .option("--budget <time>", "end after a time, e.g. 30m")
    .option("--seed <n>", "the same seed finds the same", wholeNumber(0))
    .option("--detach", "begin the study and return")
    .addHelpText(
      "after",
      `
Ctrl-C leaves the study running: take it up with \`servable studies watch\`, or end it with \`servable studies cancel\`.

Examples:
  $ servable studies create --file study.yaml --parallel 4
  $ servable studies create --dataset penguins --target species --name penguins --metric accuracy \\
      --vary family=SOFTMAX_REGRESSION,MLP --vary learning_rate=1e-4..1:log --trials 30 --folds 5`,
    )
    .action((options: CreateOptions) =>
      withClient(options, terminal, async (client) => {
        const study = await client.studies.create({ id: options.id, study: await studyOf(options) });
        if (options.detach === true) {
          if (options.json) return printJson(terminal, toJson(TuningStudySchema, study));
          return printLine(terminal, `${lastPart(study.name)} runs\nNext: servable studies watch ${lastPart(study.name)}`);
        }
        if (!options.json) printLine(terminal, `${lastPart(study.name)}: up to ${study.maxTrialCount} trials over ${study.parameters.map(({ path }) => path).join(", ")}`);
        await endOf(client, study.name, terminal, options);
      }),
    );
}

async function studyOf(options: CreateOptions): Promise<TuningStudy> {
  const file = options.file === undefined ? {} : ((await readYaml(options.file)) as Record<string, unknown>);
  const { dataset, name: model, metric: objective, sampler, pruner, trials, parallel, folds, budget, seed } = options;
  const flags = { dataset, model, objective, sampler, pruner, trials, parallel, cross_validation: folds, time_budget: budget, seed };
  const varied = (options.vary ?? []).map((text) => {
    const at = text.indexOf("=");
    if (at < 1) throw new StatusError("FIELD_INVALID", `--vary ${text}: write field=values, e.g. learning_rate=1e-4..1:log`, { metadata: { field: "vary" } });
    return [text.slice(0, at), domainFromFlag(text.slice(0, at), text.slice(at + 1))] as const;
  });
  const { spec, parameters } = file as { readonly spec?: object; readonly parameters?: unknown };
  if (varied.length > 0 && Array.isArray(parameters)) throw new StatusError("FIELD_INVALID", "--vary adds to parameters that the file lists by name, and it has a list", { metadata: { field: "vary" } });
  return studyFromPlain({
    ...file,
    ...Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)),
    spec: { ...spec, ...(options.target === undefined ? {} : { target_column: options.target }) },
    ...(varied.length === 0 ? {} : { parameters: { ...(parameters as object | undefined), ...Object.fromEntries(varied) } }),
  });
}

/** Follows a study to its end and prints it. @throws StatusError with the study's reason */
async function endOf(client: ServableClient, id: string, terminal: Terminal, options: CommonOptions): Promise<void> {
  // Progress is for people: with --json it goes to stderr, and stdout holds the study alone.
  const view = createStudyView(options.json ? terminal.stderr : terminal.stdout);
  try {
    for await (const { event } of client.studies.watch(id)) {
      if (event.case === "studyChanged") view.study(event.value);
      if (event.case === "trialChanged") view.trial(event.value);
    }
  } finally {
    view.stop();
  }
  const study = await client.studies.get(id);
  if (options.json) printJson(terminal, toJson(TuningStudySchema, study));
  if (study.state === TuningStudy_State.CANCELLED) throw new StatusError("CANCELLED", `${lastPart(study.name)} was cancelled`);
  if (study.state === TuningStudy_State.FAILED) {
    const reason: Reason = study.failureReason in REASONS ? (study.failureReason as Reason) : "STUDY_FAILED";
    throw new StatusError(reason, `the study failed: ${study.failureMessage}`, { metadata: { tuningStudy: study.name } });
  }
  if (!options.json) await printStudy(client, study, terminal);
}

async function printStudy(client: ServableClient, study: TuningStudy, terminal: Terminal): Promise<void> {
  const trials = await client.studies.trials(study.name);
  printLine(terminal, `\n${describeStudy(study, trials, Date.now())}\n`);
  printLine(terminal, renderTrials(study, trials, TRIALS_SHOWN));
  if (study.parameterImportances.length > 0) {
    printLine(terminal, `\n${renderTable(["parameter", "importance"], study.parameterImportances.map(({ path, importance }) => [path, `${(importance * 100).toFixed(0)} %`]))}`);
  }
  const id = lastPart(study.name);
  if (study.bestTrial !== undefined) printLine(terminal, `\nbest: ${bestOf(study)} with ${describeValues(study.bestTrial)}`);
  if (study.modelVersion !== "") printLine(terminal, `${lastPart(study.model)} version ${lastPart(study.modelVersion)} is registered\nNext: servable deploy ${lastPart(study.model)}, or servable studies report ${id}`);
}

function trialsOf({ trialCounts, maxTrialCount }: TuningStudy): string {
  const { completeCount = 0, prunedCount = 0, failedCount = 0, cancelledCount = 0 } = trialCounts ?? {};
  return `${completeCount + prunedCount + failedCount + cancelledCount}/${maxTrialCount}`;
}

function bestOf({ bestTrial, objective }: TuningStudy): string {
  return bestTrial?.objective === undefined ? "" : `${objective?.metric ?? ""} ${Number(bestTrial.objective.toPrecision(4))}`;
}
