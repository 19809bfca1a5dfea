import { join } from "node:path";
import { Command } from "commander";
import { StatusError } from "@servable/errors";
import { dataDirOf, withDataDir } from "../common-options.ts";
import { wholeNumber } from "../option-parsers.ts";
import { renderTable } from "../render/table.ts";
import { renderTraceTree } from "../render/trace-tree.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";
import { readSpans, summarizeTraces } from "../trace-files.ts";

/** `servable trace`: where a call spent its time. */
export function traceCommand(terminal: Terminal): Command {
  return withDataDir(new Command("trace"))
    .description("List recent traces, or draw one as a tree.")
    .argument("[id]", "trace id, or its first characters")
    .option("--last <n>", "how many to list", wholeNumber(1), 10)
    .option("--all", "list the platform's own calls too, not only those that came through the gateway")
    .option("--json", "print JSON for scripts")
    .addHelpText("after", "\nTraces are recorded while the platform runs with --trace.\n\nExamples:\n  $ servable up --trace\n  $ servable trace\n  $ servable trace 4bf92f35")
    .action((id: string | undefined, options: { dataDir?: string; last: number; all?: boolean; json?: boolean }) => {
      const spans = readSpans(terminal.env["SERVABLE_TRACE_DIR"] || join(dataDirOf(options, terminal.env), "traces"));
      if (id !== undefined) {
        const found = spans.filter(({ traceId }) => traceId.startsWith(id));
        if (found.length === 0) throw new StatusError("FIELD_INVALID", `there is no trace ${id}: list them with \`servable trace\``);
        if (options.json === true) return printJson(terminal, found);
        return printLine(terminal, renderTraceTree(found));
      }
      const traces = summarizeTraces(spans, options.last, options.all === true);
      if (options.json === true) return printJson(terminal, traces);
      const millis = (root: { startTimeUnixNano: string; endTimeUnixNano: string }): string => `${(Number(BigInt(root.endTimeUnixNano) - BigInt(root.startTimeUnixNano)) / 1e6).toFixed(1)} ms`;
      printLine(terminal, renderTable(["trace", "began (UTC)", "what", "took", "spans"], traces.map(({ traceId, root, spanCount }) => [traceId, new Date(Number(BigInt(root.startTimeUnixNano) / 1_000_000n)).toISOString().slice(0, 19).replace("T", " "), root.name, millis(root), spanCount])));
    });
}
