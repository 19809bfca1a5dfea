// A Triton repository becomes models of the registry: a version for each numbered folder, under the same number where the
// registry has not given it already. What is there with the same files and settings is left alone, so that a second run does
// nothing and a run after a change imports the change.

import { digestFiles, type ImportedFile, type ServableClient, type VersionPolicyInit } from "@servable/client";
import { ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import { servingConfigOf, type TritonModel, type TritonVersion } from "@servable/triton-repository";

/** Which version of the repository a version came from. */
export const SOURCE_LABEL = "triton.version";

/** What became of a numbered folder. */
export interface ImportedVersion {
  /** The folder's number. */
  readonly number: number;
  /** The registry's version; 0 when it was not imported. */
  readonly version: number;
  readonly outcome: "imported" | "already there" | "failed";
  /** Why it failed. */
  readonly reason: string;
  readonly bytes: number;
}

/** What became of a model. */
export interface ImportedModel {
  readonly model: TritonModel;
  /** Name in the registry. */
  readonly name: string;
  readonly versions: readonly ImportedVersion[];
}

/** Told how an upload goes on. */
export interface UploadView {
  start(label: string, totalBytes: number): void;
  update(sentBytes: number): void;
  stop(): void;
}

/** Imports all versions of a model; one that fails does not keep the others out. @throws StatusError when nothing can be said of a version, as without a platform */
export async function importModel(client: ServableClient, model: TritonModel, name: string, view: UploadView): Promise<ImportedModel> {
  if (model.refusal !== "") return { model, name, versions: [] };
  const servingConfigJson = servingConfigOf(model);
  const known = await knownVersions(client, name);
  const versions: ImportedVersion[] = [];
  for (const version of model.versions) versions.push(await importVersion(client, { name, version, servingConfigJson, known }, view));
  return { model, name, versions };
}

/** The registry's choice of versions for a repository's, in the registry's numbers. @throws StatusError `FIELD_INVALID` when none of them was imported */
export function versionPolicyOf({ model, versions }: ImportedModel): VersionPolicyInit {
  const choice = model.config?.versionPolicy?.policyChoice;
  switch (choice?.case) {
    case "all":
      return { choice: { case: "all", value: {} } };
    case "specific": {
      const wanted = versions.filter(({ number, version }) => version > 0 && choice.value.versions.includes(BigInt(number))).map(({ version }) => BigInt(version));
      if (wanted.length === 0) throw new StatusError("FIELD_INVALID", `version_policy names the versions ${choice.value.versions.join(", ")}, of which none was imported`, { metadata: { field: "version_policy" } });
      return { choice: { case: "specific", value: { versions: wanted } } };
    }
    case "latest":
      return { choice: { case: "latest", value: { versionCount: choice.value.numVersions || 1 } } };
    default:
      return { choice: { case: "latest", value: { versionCount: 1 } } };
  }
}

/** Models before the ensembles and graphs that call them; of a ring of ensembles any is first. */
export function byDependency(models: readonly ImportedModel[]): ImportedModel[] {
  const byName = new Map(models.map((each) => [each.model.name, each]));
  const sorted = new Set<ImportedModel>();
  const visiting = new Set<ImportedModel>();
  const visit = (each: ImportedModel): void => {
    if (visiting.has(each)) return;
    visiting.add(each);
    const choice = each.model.config?.schedulingChoice;
    for (const { modelName } of choice?.case === "ensembleScheduling" ? choice.value.step : []) {
      const step = byName.get(modelName);
      if (step !== undefined) visit(step);
    }
    sorted.add(each);
  };
  for (const isPipeline of [false, true]) for (const each of models) if ((each.model.kind === "ensemble") === isPipeline) visit(each);
  return [...sorted];
}

async function importVersion(
  client: ServableClient,
  { name, version: { number, files: sources }, servingConfigJson, known }: { name: string; version: TritonVersion; servingConfigJson: string; known: readonly ModelVersion[] },
  view: UploadView,
): Promise<ImportedVersion> {
  const bytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  try {
    const files = await digestFiles(sources.map(({ path, source }) => ({ path, file: source })));
    const same = known.find((version) => isSame(version, number, files, servingConfigJson));
    if (same !== undefined) return { number, version: Number(same.number), outcome: "already there", reason: "", bytes };
    view.start(`${name} ${number}`, bytes);
    const options = { model: name, files, servingConfigJson, labels: { [SOURCE_LABEL]: String(number) }, onProgress: (sent: number) => view.update(sent) };
    const imported = await client.models.importVersion({ ...options, versionNumber: number }).catch((error: unknown) => {
      // The number is gone, by an earlier import of other files: the version gets the next one.
      if (error instanceof StatusError && error.reason === "ALREADY_EXISTS") return client.models.importVersion(options);
      throw error;
    });
    return { number, version: Number(imported.number), outcome: "imported", reason: "", bytes };
  } catch (error) {
    const failure = StatusError.from(error);
    if (failure.retryable || failure.code === "PERMISSION_DENIED" || failure.code === "UNAUTHENTICATED") throw failure;
    return { number, version: 0, outcome: "failed", reason: failure.message, bytes };
  } finally {
    view.stop();
  }
}

async function knownVersions(client: ServableClient, name: string): Promise<ModelVersion[]> {
  try {
    return await client.models.versions(name);
  } catch (error) {
    if (error instanceof StatusError && error.reason === "MODEL_NOT_FOUND") return [];
    throw error;
  }
}

function isSame(version: ModelVersion, number: number, files: readonly (ImportedFile & { readonly digest: { readonly sha256: string } })[], servingConfigJson: string): boolean {
  if (version.state !== ModelVersion_State.READY || version.servingConfigJson !== servingConfigJson || version.labels[SOURCE_LABEL] !== String(number)) return false;
  const stored = new Map(version.artifacts.map(({ path, sha256 }) => [path, sha256]));
  return stored.size === files.length && files.every(({ path, digest }) => stored.get(path) === digest.sha256);
}
