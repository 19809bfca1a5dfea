import { Command } from "commander";
import { datasetsCommand } from "./commands/datasets.ts";
import { deployCommand } from "./commands/deploy.ts";
import { explainCommand } from "./commands/explain.ts";
import { jobsCommand } from "./commands/jobs.ts";
import { keysCommand } from "./commands/keys.ts";
import { modelsCommand } from "./commands/models.ts";
import { predictCommand } from "./commands/predict.ts";
import { projectsCommand } from "./commands/projects.ts";
import { quickstartCommand } from "./commands/quickstart.ts";
import { studiesCommand } from "./commands/studies.ts";
import { statusCommand } from "./commands/status.ts";
import { classifyImageCommand, classifyTextCommand, detectSpeechCommand, embedCommand, readTextCommand } from "./commands/tasks.ts";
import { topCommand } from "./commands/top.ts";
import { traceCommand } from "./commands/trace.ts";
import { trainCommand } from "./commands/train.ts";
import { undeployCommand } from "./commands/undeploy.ts";
import { upCommand } from "./commands/up.ts";
import type { Terminal } from "./terminal.ts";

const VERSION = "0.1.0";

/** The command line with all its commands. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command("servable")
    .description("Models as a service: train, register, deploy and call models over gRPC and REST.")
    .version(VERSION)
    // `deploy --version 2` is the model's version, not ours.
    .enablePositionalOptions()
    .addHelpText(
      "after",
      `
Examples:
  $ servable up                                            the platform, until Ctrl-C
  $ servable train --data iris.csv --target species --name iris --deploy
  $ servable predict iris sepal_length=5.1 sepal_width=3.5
  $ servable models import resnet.onnx --name resnet && servable deploy resnet
  $ servable classify-image resnet cat.jpg                 tasks of models with a servable.yaml

Each command explains itself: servable <command> --help`,
    );
  const commands = [
    upCommand, quickstartCommand, statusCommand, topCommand, modelsCommand, deployCommand, undeployCommand, predictCommand, explainCommand,
    classifyImageCommand, classifyTextCommand, embedCommand, detectSpeechCommand, readTextCommand,
    trainCommand, datasetsCommand, jobsCommand, studiesCommand, keysCommand, projectsCommand, traceCommand,
  ];
  for (const create of commands) program.addCommand(create(terminal));
  prepare(program, terminal);
  return program;
}

/** Usage errors are thrown, not exited on, and every command writes where the terminal says. */
function prepare(command: Command, terminal: Terminal): void {
  command
    .exitOverride()
    .showHelpAfterError(`Run \`${pathOf(command)} --help\` for examples.`)
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "servable: ")),
    });
  for (const sub of command.commands) prepare(sub, terminal);
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
