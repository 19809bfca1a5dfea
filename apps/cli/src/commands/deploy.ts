import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import type { VersionPolicyInit } from "@servable/client";
import { DeploymentSchema } from "@servable/contracts/registry/v1/deployment";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { StatusError } from "@servable/errors";
import { exampleCall } from "../example-call.ts";
import { collect, wholeNumber, wholeNumbers } from "../option-parsers.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface DeployCommandOptions extends CommonOptions {
  readonly version?: readonly number[];
  readonly alias?: string;
  readonly latest?: number;
  readonly all?: boolean;
  readonly labels?: readonly string[];
  readonly as?: string;
  readonly replicas: number;
}

/** `servable deploy`: serves a model and waits until it answers. */
export function deployCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("deploy"))
    .description("Serve a model and wait until it answers; deploying again changes what is served.")
    .argument("<model>")
    .option("--version <numbers>", "this version, or several: 1,3 (default: the newest, also when newer ones come)", wholeNumbers)
    .option("--alias <alias>", "the version that this alias points at, also when it moves")
    .option("--latest <n>", "so many of the newest versions", wholeNumber(1))
    .option("--all", "every version")
    .option("--labels <aliases>", "the versions that these aliases point at: stable,canary; callers may say the alias", collect)
    .option("--as <name>", "name that callers say (default: the model's)")
    .option("--replicas <n>", "inference processes that load it", wholeNumber(1), 1)
    .addHelpText("after", "\nExamples:\n  $ servable deploy resnet\n  $ servable deploy resnet --version 2\n  $ servable deploy resnet --alias production --as resnet-live\n  $ servable deploy resnet --labels stable,canary")
    .action((model: string, options: DeployCommandOptions) =>
      withClient(options, terminal, async (client) => {
        const { as, replicas } = options;
        const deployment = await client.deployments.deploy({ model, versionPolicy: policyOf(options), as, replicas });
        if (options.json) return printJson(terminal, toJson(DeploymentSchema, deployment));
        printLine(terminal, `${as ?? model} serves version ${deployment.readyVersions.join(", ")}`);
        printLine(terminal, `Next: ${exampleCall(as ?? model, await client.models.version(model, String(deployment.readyVersions.at(-1) ?? 1)))}`);
      }),
    );
}

/** Which versions the options mean; undefined = the newest. @throws StatusError `FIELD_INVALID` when they contradict each other */
function policyOf({ version, alias, latest, all, labels }: DeployCommandOptions): VersionPolicyInit | undefined {
  const choices: VersionPolicyInit[] = [
    ...(version === undefined ? [] : [{ choice: { case: "specific" as const, value: { versions: version.map(BigInt) } } }]),
    ...(alias === undefined ? [] : [{ choice: { case: "alias" as const, value: alias } }]),
    ...(latest === undefined ? [] : [{ choice: { case: "latest" as const, value: { versionCount: latest } } }]),
    ...(all === undefined ? [] : [{ choice: { case: "all" as const, value: {} } }]),
    ...(labels === undefined ? [] : [{ choice: { case: "labels" as const, value: { aliases: [...labels] } } }]),
  ];
  if (choices.length > 1) throw new StatusError("FIELD_INVALID", "choose one of --version, --alias, --latest, --all and --labels", { metadata: { field: "version_policy" } });
  return choices[0];
}
