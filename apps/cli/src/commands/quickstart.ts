import { Command } from "commander";
import type { Terminal } from "../terminal.ts";

/** `servable quickstart`: the platform's main job on real data, in two minutes. */
export function quickstartCommand(_terminal: Terminal): Command {
  return new Command("quickstart").description("See a model trained on real data, registered, deployed and called, on a platform of its own.");
}
