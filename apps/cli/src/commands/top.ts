import { setTimeout as delay } from "node:timers/promises";
import { Command } from "commander";
import type { ServableClient } from "@servable/client";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { numberWithin } from "../option-parsers.ts";
import { activityBetween, renderActivity, type Activity, type StatusSample } from "../render/activity.ts";
import { stopSignal } from "../stop-signal.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface TopOptions extends CommonOptions {
  readonly once?: boolean;
  readonly interval: number;
}

/** Cursor home, then the rest of the screen away: no flicker, as a full clear would give. */
const REDRAW = "\u001b[H\u001b[J";
const CLEAR = "\u001b[2J";

/** `servable top`: what replicas and models are doing, live. */
export function topCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("top"))
    .description("Watch replicas and models: requests, latency, queues, memory, engine processes. Administrators only.")
    .option("--once", "print one sample and end")
    .option("--interval <seconds>", "time between two samples", numberWithin(0.1, 3_600), 1)
    .addHelpText(
      "after",
      `
Rates are of the last interval, p50 and p99 of each model's newest 512 answers, the batch is the mean of the interval's
batches. With --json each sample is one JSON object. Ends at Ctrl-C.

Examples:
  $ servable top
  $ servable top --once
  $ servable top --once --json | jq '.models[] | select(.failuresPerSecond > 0)'`,
    )
    .action((options: TopOptions) => withClient(options, terminal, (client) => top(client, options, terminal)));
}

async function top(client: ServableClient, options: TopOptions, terminal: Terminal): Promise<void> {
  using stop = stopSignal();
  const { signal } = stop;
  const live = options.json === undefined && options.once !== true && terminal.stdout.isTTY === true;
  if (live) terminal.stdout.write(CLEAR);
  let before = await sample(client);
  while (!signal.aborted) {
    // The request to stop ends the pause, which is the way out.
    await delay(options.interval * 1_000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const after = await sample(client);
    show(activityBetween(before, after), live, options, terminal);
    if (options.once === true) return;
    before = after;
  }
}

async function sample(client: ServableClient): Promise<StatusSample> {
  const { replicas, unreachable } = await client.deployments.replicaStatuses();
  return { atMs: Date.now(), replicas, unreachable };
}

function show(activity: Activity, live: boolean, { json }: TopOptions, terminal: Terminal): void {
  if (json !== undefined) return printJson(terminal, activity);
  if (live) terminal.stdout.write(REDRAW);
  printLine(terminal, renderActivity(activity, terminal.stdout.columns));
}
