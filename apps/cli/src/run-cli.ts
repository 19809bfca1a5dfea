import { CommanderError } from "commander";
import { exitCodeOf } from "@servable/errors";
import { explainFailure } from "./explain-failure.ts";
import { createProgram } from "./program.ts";
import type { Terminal } from "./terminal.ts";

/** sysexits.h: the command was used wrongly. */
const EXIT_USAGE = 64;

/** Runs one command line; returns the exit code. Failures are one line on stderr, or one JSON object with `--json`. */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = createProgram(terminal);
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    // Commander has already said what was wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    const failure = await explainFailure(error);
    if (failure.reason === "INTERNAL" && terminal.env["SERVABLE_DEBUG"] !== undefined) terminal.stderr.write(`${String((failure.cause as Error | undefined)?.stack)}\n`);
    if (args.includes("--json")) terminal.stderr.write(JSON.stringify({ error: { reason: failure.reason, message: failure.message, metadata: failure.metadata } }) + "\n");
    else terminal.stderr.write(`servable: ${oneLine(failure.message)} (${failure.reason})\n`);
    return exitCodeOf(failure);
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}

