import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import { ModelAliasSchema, ModelSchema } from "@servable/contracts/registry/v1/model";
import { ModelVersionSchema, ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { lastPart, withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { signatureLines } from "../render/signature.ts";
import { formatTime, renderTable } from "../render/table.ts";
import { importCommand } from "./models-import.ts";
import { gateCommand } from "./models-gate.ts";
import { reportCommand } from "./models-report.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

/** `servable models …`: the registry. */
export function modelsCommand(terminal: Terminal): Command {
  const command = new Command("models").description("Import, list and name models.").addHelpText(
    "after",
    `
Examples:
  $ servable models import resnet.onnx --name resnet
  $ servable models import ./model_repository --deploy
  $ servable models list
  $ servable models show resnet
  $ servable models alias set resnet production 2
  $ servable models report churn@3 --output report.html
  $ servable models gate set churn production --rule "accuracy>=0.9"`,
  );
  for (const create of [importCommand, listCommand, showCommand, deleteCommand, aliasCommand, reportCommand, gateCommand]) command.addCommand(create(terminal));
  return command;
}

function listCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("list")).description("List the models of the project.").action((options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      const models = await client.models.list();
      if (options.json) return printJson(terminal, models.map((model) => toJson(ModelSchema, model)));
      if (models.length === 0) return printLine(terminal, "no models yet: servable models import FILE --name NAME");
      printLine(terminal, renderTable(["model", "newest version", "updated (UTC)", "description"], models.map((model) => [lastPart(model.name), model.latestVersion, formatTime(model.updateTime?.seconds), model.description.slice(0, 60)])));
    }),
  );
}

function showCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("show")).description("Show a model's versions, aliases, inputs and outputs.").argument("<model>").action((model: string, options: CommonOptions) =>
    withClient(options, terminal, async (client) => {
      const [found, versions, aliases] = await Promise.all([client.models.get(model), client.models.versions(model), client.models.aliases(model)]);
      if (options.json) {
        return printJson(terminal, { model: toJson(ModelSchema, found), versions: versions.map((version) => toJson(ModelVersionSchema, version)), aliases: aliases.map((alias) => toJson(ModelAliasSchema, alias)) });
      }
      const aliasesOf = (version: ModelVersion): string => aliases.filter(({ modelVersion }) => modelVersion === version.name).map(({ name }) => lastPart(name)).join(", ");
      printLine(terminal, renderTable(["version", "state", "aliases", "made (UTC)", "from"], versions.map((version) => [version.number, ModelVersion_State[version.state], aliasesOf(version), formatTime(version.createTime?.seconds), version.lineage?.trainingJob || "upload"])));
      const newest = versions.find(({ state }) => state === ModelVersion_State.READY);
      if (newest !== undefined) printLine(terminal, `\nversion ${newest.number}\n${signatureLines(newest)}`);
    }),
  );
}

function deleteCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("delete")).description("Delete a model that is not deployed.").argument("<model>").option("--force", "also delete its versions and aliases").action((model: string, options: CommonOptions & { force?: boolean }) =>
    withClient(options, terminal, async (client) => {
      await client.models.delete(model, { force: options.force ?? false });
      if (options.json) printJson(terminal, { deleted: model });
      else printLine(terminal, `${model} is deleted`);
    }),
  );
}

function aliasCommand(terminal: Terminal): Command {
  const set = withCommonOptions(new Command("set"))
    .description("Point an alias at a version; deployments that follow the alias change over.")
    .argument("<model>")
    .argument("<alias>")
    .argument("<version>", "number")
    .option("--force", "also where a promotion gate refuses the version; the event says so")
    .addHelpText("after", "\nExample:\n  $ servable models alias set resnet production 2 && servable deploy resnet --alias production")
    .action((model: string, alias: string, version: string, options: CommonOptions & { force?: boolean }) =>
      withClient(options, terminal, async (client) => {
        const result = await client.models.setAlias(model, alias, version, { force: options.force ?? false });
        if (options.json) printJson(terminal, toJson(ModelAliasSchema, result));
        else printLine(terminal, `${alias} of ${model} is version ${lastPart(result.modelVersion)}`);
      }),
    );
  return new Command("alias").description("Names that point at versions.").addCommand(set);
}
