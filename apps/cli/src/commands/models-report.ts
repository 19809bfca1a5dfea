import { spawn } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import { Command } from "commander";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** Files that training leaves with a version. */
const REPORT_FILE = "report.html";
const MODEL_CARD_FILE = "MODEL_CARD.md";

interface ReportOptions extends CommonOptions {
  readonly output?: string;
  readonly open?: boolean;
  readonly card?: boolean;
}

/** `servable models report MODEL[@version]`: how good a version is, as numbers, as a page, as a card. */
export function reportCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("report"))
    .description("Show how good a version is, or get its evaluation report or model card.")
    .argument("<model[@version]>", "version by number or alias; without one the newest")
    .option("--output <file>", "write the report to a file")
    .option("--open", "open the report in the browser")
    .option("--card", "the model card instead of the report; without --output it is printed")
    .addHelpText("after", "\nExamples:\n  $ servable models report churn\n  $ servable models report churn@production --open\n  $ servable models report churn@3 --card > MODEL_CARD.md")
    .action((reference: string, options: ReportOptions) =>
      withClient(options, terminal, async (client) => {
        const [model = "", wanted] = reference.split("@");
        const version = await client.models.version(model, wanted ?? String((await client.models.get(model)).latestVersion));
        const path = options.card ? MODEL_CARD_FILE : REPORT_FILE;
        const read = (): Promise<Uint8Array> => {
          if (!version.artifacts.some((artifact) => artifact.path === path)) throw new StatusError("ARTIFACT_NOT_FOUND", `version ${version.number} of ${model} has no ${path}: versions that a training job made have one`, { metadata: { path } });
          return client.models.artifact(model, String(version.number), path);
        };
        if (options.output !== undefined || options.open) {
          const file = options.output ?? join(await mkdtemp(join(tmpdir(), "servable-report-")), path);
          await writeFile(file, await read());
          if (options.open) openInBrowser(file);
          return printLine(terminal, file);
        }
        if (options.card) return void terminal.stdout.write(Buffer.from(await read()).toString("utf8"));
        const rows = Object.entries(version.metrics).sort(([a], [b]) => (a < b ? -1 : 1));
        if (options.json) return printJson(terminal, { version: version.name, metrics: version.metrics });
        printLine(terminal, rows.length === 0 ? `version ${version.number} of ${model} has no metrics` : renderTable(["metric", `version ${version.number}`], rows.map(([name, value]) => [name, Number(value.toPrecision(6))])));
      }),
    );
}

/** The system's own way; where there is no screen the path that is printed must do. */
function openInBrowser(file: string): void {
  const [command, ...words] = process.platform === "darwin" ? ["open"] : process.platform === "win32" ? ["cmd", "/c", "start", ""] : ["xdg-open"];
  spawn(command ?? "xdg-open", [...words, file], { detached: true, stdio: "ignore" }).on("error", () => {}).unref();
}
