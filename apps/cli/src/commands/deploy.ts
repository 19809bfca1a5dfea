import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { DeploymentSchema } from "@servable/contracts/registry/v1/deployment";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { exampleCall } from "../example-call.ts";
import { wholeNumber } from "../option-parsers.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface DeployCommandOptions extends CommonOptions {
  readonly version?: number;
  readonly alias?: string;
  readonly as?: string;
  readonly replicas: number;
}

/** `servable deploy`: serves a model and waits until it answers. */
export function deployCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("deploy"))
    .description("Serve a model and wait until it answers; deploying again changes what is served.")
    .argument("<model>")
    .option("--version <number>", "this version (default: the newest, also when newer ones come)", wholeNumber(1))
    .option("--alias <alias>", "the version that this alias points at, also when it moves")
    .option("--as <name>", "name that callers say (default: the model's)")
    .option("--replicas <n>", "inference processes that load it", wholeNumber(1), 1)
    .addHelpText("after", "\nExamples:\n  $ servable deploy resnet\n  $ servable deploy resnet --version 2\n  $ servable deploy resnet --alias production --as resnet-live")
    .action((model: string, options: DeployCommandOptions) =>
      withClient(options, terminal, async (client) => {
        const { version, alias, as, replicas } = options;
        const deployment = await client.deployments.deploy({ model, version, alias, as, replicas });
        if (options.json) return printJson(terminal, toJson(DeploymentSchema, deployment));
        printLine(terminal, `${as ?? model} serves version ${deployment.readyVersions.join(", ")}`);
        printLine(terminal, `Next: ${exampleCall(as ?? model, await client.models.version(model, String(deployment.readyVersions.at(-1) ?? 1)))}`);
      }),
    );
}
