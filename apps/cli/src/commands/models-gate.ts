import { toJson } from "@bufbuild/protobuf";
import { ModelSchema, type Model } from "@servable/contracts/registry/v1/model";
import { StatusError } from "@servable/errors";
import { Command } from "commander";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { renderTable } from "../render/table.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** Metrics of which less is better; of all others more is. */
const LOWER_IS_BETTER = /(^|_)(loss|brier|error|mae|mse|rmse|mape|perplexity|bits_per_byte)$/;

/** One rule as it is written on the command line. */
export interface GateRule {
  readonly metric: string;
  readonly min?: number;
  readonly max?: number;
  readonly worseningMax?: number;
  readonly lowerIsBetter: boolean;
}

/** `servable models gate …`: what a version must have reached before an alias may point at it. */
export function gateCommand(terminal: Terminal): Command {
  const several = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];
  const set = withCommonOptions(new Command("set"))
    .description("Guard an alias: it moves only to versions whose metrics pass every rule. Replaces the alias's gate.")
    .argument("<model>")
    .argument("<alias>")
    .requiredOption("--rule <rule>", 'e.g. "accuracy>=0.9", "rmse<=3", "slice_min_accuracy>=0.8", "accuracy drop<=0.01" (against the version the alias points at); may be repeated', several)
    .option("--deployments", "also for deployments that choose versions by number or as the newest")
    .addHelpText("after", '\nExample:\n  $ servable models gate set churn production --rule "accuracy>=0.9" --rule "accuracy drop<=0.01"')
    .action((model: string, alias: string, options: CommonOptions & { rule: string[]; deployments?: boolean }) =>
      withClient(options, terminal, async (client) => {
        const rules = options.rule.map(parseRule);
        const others = (await client.models.get(model)).promotionGates.filter((gate) => gate.alias !== alias);
        show(terminal, options, await client.models.setPromotionGates(model, [...others, { alias, deployments: options.deployments ?? false, rules: rules.map((rule) => ({ ...rule })) }]));
      }),
    );
  const list = withCommonOptions(new Command("list")).description("Show a model's gates.").argument("<model>").action((model: string, options: CommonOptions) => withClient(options, terminal, async (client) => show(terminal, options, await client.models.get(model))));
  const remove = withCommonOptions(new Command("delete"))
    .description("Remove the gate of an alias.")
    .argument("<model>")
    .argument("<alias>")
    .action((model: string, alias: string, options: CommonOptions) =>
      withClient(options, terminal, async (client) => {
        const { promotionGates } = await client.models.get(model);
        show(terminal, options, await client.models.setPromotionGates(model, promotionGates.filter((gate) => gate.alias !== alias)));
      }),
    );
  return new Command("gate").description("Promotion gates on metrics.").addCommand(set).addCommand(list).addCommand(remove);
}

/** Reads "accuracy>=0.9" and "accuracy drop<=0.01". @throws StatusError `FIELD_INVALID` saying the forms */
export function parseRule(text: string): GateRule {
  const [, metric = "", drop, sign, number = ""] = /^\s*([\w.-]+)(\s+drop)?\s*(>=|<=)\s*(\S+)\s*$/.exec(text) ?? [];
  const value = Number(number);
  if (metric === "" || number === "" || !Number.isFinite(value) || (drop !== undefined && sign === ">=")) {
    throw new StatusError("FIELD_INVALID", `--rule "${text}" is no rule: write "metric>=number", "metric<=number" or "metric drop<=number"`, { metadata: { field: "--rule" } });
  }
  const head = { metric, lowerIsBetter: LOWER_IS_BETTER.test(metric) };
  if (drop !== undefined) return { ...head, worseningMax: value };
  return sign === ">=" ? { ...head, min: value } : { ...head, max: value };
}

function show(terminal: Terminal, options: CommonOptions, model: Model): void {
  if (options.json) return printJson(terminal, toJson(ModelSchema, model));
  if (model.promotionGates.length === 0) return printLine(terminal, "no gates: every READY version may be promoted");
  const rows = model.promotionGates.flatMap(({ alias, deployments, rules }) =>
    rules.flatMap(({ metric, min, max, worseningMax }) => {
      const where = [alias, deployments ? "(deployments)" : ""].filter(Boolean).join(" ");
      return [min === undefined ? [] : [where, `${metric} >= ${min}`], max === undefined ? [] : [where, `${metric} <= ${max}`], worseningMax === undefined ? [] : [where, `${metric} drop <= ${worseningMax}`]].filter((row) => row.length > 0);
    }),
  );
  printLine(terminal, renderTable(["guards", "rule"], rows));
}
