import { Command } from "commander";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable undeploy`: stops serving. */
export function undeployCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("undeploy"))
    .description("Stop serving; calls in flight end well, the model stays in the registry.")
    .argument("<name>", "name of the deployment")
    .addHelpText("after", "\nExample:\n  $ servable undeploy resnet")
    .action((name: string, options: CommonOptions) =>
      withClient(options, terminal, async (client) => {
        await client.deployments.undeploy(name);
        if (options.json) printJson(terminal, { undeployed: name });
        else printLine(terminal, `${name} is no longer served`);
      }),
    );
}
