import { readFileSync, statSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { Command } from "commander";
import type { ServableClient } from "@servable/client";
import { ModelVersionSchema } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import { readTritonRepository } from "@servable/triton-repository";
import { withClient, withCommonOptions, type CommonOptions } from "../common-options.ts";
import { byDependency, importModel, versionPolicyOf, type ImportedModel } from "../import/import-repository.ts";
import { onnxFiles } from "../import/onnx-files.ts";
import { collect } from "../option-parsers.ts";
import { renderFindings, renderImported } from "../render/import-report.ts";
import { signatureLines } from "../render/signature.ts";
import { formatBytes } from "../render/table.ts";
import { createUploadProgress } from "../render/upload-progress.ts";
import { printJson, printLine, type Terminal } from "../terminal.ts";

interface ImportCommandOptions extends CommonOptions {
  readonly name?: string;
  readonly config?: string;
  readonly description?: string;
  readonly deploy?: boolean;
  /** True where neither option was given. */
  readonly manifest?: string | boolean;
  readonly with?: string[];
}

/** `servable models import`: an ONNX file, or a Triton model repository. */
export function importCommand(terminal: Terminal): Command {
  return withCommonOptions(new Command("import"))
    .description("Upload an ONNX file as the next version of a model, or a Triton model repository as it is; every version is checked before it counts.")
    .argument("<file or folder>", "ONNX model, or a folder of models with config.pbtxt and numbered versions")
    .option("--name <model>", "model to add the version to; made when it does not exist (of a folder: its own names)")
    .option("--config <json or file>", 'serving settings, e.g. \'{"max_batch_size": 8}\' or a JSON file (files only)')
    .option("--description <text>", "what is new in this version (files only)")
    .option("--manifest <file>", "servable.yaml of the tasks that it does (default: the one beside the model; files only)")
    .option("--no-manifest", "leave a servable.yaml beside the model out")
    .option("--with <files>", "further files of the version, between commas or repeated: labels, tokenizer.json (files only)", collect)
    .option("--deploy", "also serve what was imported, the versions that its version_policy selects")
    .addHelpText(
      "after",
      `
Files that a model needs come along: weights beside it, servable.yaml and what that names, labels, warm-up data.

Examples:
  $ servable models import resnet.onnx --name resnet
  $ servable models import resnet.onnx --name resnet --config '{"max_batch_size": 8}'
  $ servable models import intents.onnx --name intents --manifest tasks/intents.yaml --with tokenizer.json,labels.json
  $ servable models import ./model_repository --deploy`,
    )
    .action(async (path: string, options: ImportCommandOptions, command: Command) => {
      const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
      if (!isFolder && options.name === undefined) command.error("error: required option '--name <model>' not specified");
      await withClient(options, terminal, (client) => (isFolder ? importFolder(client, path, options, terminal) : importFile(client, path, { ...options, name: options.name ?? "" }, terminal)));
    });
}

async function importFile(client: ServableClient, file: string, options: ImportCommandOptions & { readonly name: string }, terminal: Terminal): Promise<void> {
  const { name, description, deploy = false } = options;
  const view = createUploadProgress(terminal.stderr.isTTY === true ? terminal.stderr : { write: () => {} });
  const files = onnxFiles(file, { manifest: options.manifest === true ? undefined : options.manifest, others: options.with });
  let started = false;
  const version = await client.models
    .importVersion({
      model: name,
      files,
      description,
      servingConfigJson: configOf(options.config),
      onProgress: (sent, total) => {
        if (!started) view.start(name, total);
        started = true;
        view.update(sent);
      },
    })
    .finally(() => view.stop());
  if (deploy) await client.deployments.deploy({ model: name });
  if (options.json) return printJson(terminal, toJson(ModelVersionSchema, version));
  const more = files.slice(1).map(({ path }) => path);
  printLine(terminal, `${name} version ${version.number} is ready (${formatBytes(version.artifacts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0n))}, ${version.digest.slice(0, 19)}…)`);
  if (more.length > 0) printLine(terminal, `  with ${more.join(", ")}`);
  printLine(terminal, signatureLines(version));
  printLine(terminal, deploy ? `${name} serves the newest version` : `Next: servable deploy ${name}`);
}

async function importFolder(client: ServableClient, folder: string, options: ImportCommandOptions, terminal: Terminal): Promise<void> {
  const repository = await readTritonRepository(folder);
  if (options.name !== undefined && repository.models.length > 1) throw new StatusError("FIELD_INVALID", `--name goes with one model, ${folder} has ${repository.models.length}`, { metadata: { field: "name" } });
  const view = createUploadProgress(options.json ? { write: () => {} } : terminal.stderr);
  const imported: ImportedModel[] = [];
  for (const model of repository.models) imported.push(await importModel(client, model, options.name ?? model.name, view));
  const deployed = options.deploy === true ? await deployAll(client, imported) : [];
  if (options.json) {
    printJson(terminal, { models: imported.map(({ model, name, versions }) => ({ name, refusal: model.refusal, versions, findings: model.findings })), deployed });
  } else {
    printLine(terminal, renderImported(imported));
    printLine(terminal, `\n${renderFindings(imported)}`);
    for (const { name, versions, failure } of deployed) printLine(terminal, failure === "" ? `${name} serves version ${versions.join(", ")}` : `${name} cannot be served: ${failure}`);
    if (options.deploy !== true) printLine(terminal, `Next: servable models import ${folder} --deploy`);
  }
  const failed = [...imported.flatMap(({ name, versions }) => versions.filter(({ outcome }) => outcome === "failed").map(({ number }) => `${name} ${number}`)), ...deployed.filter(({ failure }) => failure !== "").map(({ name }) => name)];
  if (failed.length > 0) throw new StatusError("STATE_WRONG", `not everything could be imported: ${failed.join(", ")}`, { metadata: { failed: failed.join(",") } });
  if (imported.every(({ versions }) => versions.length === 0)) throw new StatusError("STATE_WRONG", "none of the models can be served");
}

/** Steps before ensembles; what cannot be loaded is said and keeps no other. */
async function deployAll(client: ServableClient, imported: readonly ImportedModel[]): Promise<{ name: string; versions: number[]; failure: string }[]> {
  const outcomes: { name: string; versions: number[]; failure: string }[] = [];
  for (const each of byDependency(imported.filter(({ versions }) => versions.some(({ version }) => version > 0)))) {
    try {
      const deployment = await client.deployments.deploy({ model: each.name, versionPolicy: versionPolicyOf(each) });
      outcomes.push({ name: each.name, versions: deployment.readyVersions.map(Number), failure: "" });
    } catch (error) {
      outcomes.push({ name: each.name, versions: [], failure: StatusError.from(error).message });
    }
  }
  return outcomes;
}

function configOf(text: string | undefined): string | undefined {
  return text === undefined || text.trimStart().startsWith("{") ? text : readFileSync(text, "utf8");
}
