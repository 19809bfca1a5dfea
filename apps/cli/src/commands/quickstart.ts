import { Command } from "commander";
import { runQuickstart } from "../quickstart/run-quickstart.ts";
import type { Terminal } from "../terminal.ts";

/** `servable quickstart`: the platform's main job on real data. */
export function quickstartCommand(terminal: Terminal): Command {
  return new Command("quickstart")
    .description("See models trained on real data, registered, deployed and called, on a platform of its own.")
    .addHelpText(
      "after",
      `
Takes free ports and a temporary folder, needs no network, leaves nothing behind; ends with an error if any answer is not good.

Example:
  $ npm run quickstart`,
    )
    .action(() => runQuickstart(terminal));
}
