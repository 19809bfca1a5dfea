import { StatusError } from "@servable/errors";
import type { BlobStore } from "@servable/storage";
import type { ArtifactRecord } from "./records.ts";

const MANIFEST_FILE = "servable.yaml";
/** A manifest is written by hand; what is larger is none. */
const MANIFEST_BYTES_MAX = 1024 * 1024;

/** Parameter of a version's settings under which the registry keeps the names of models that its tasks call. */
export const TASK_MODELS_PARAMETER = "servable.task_models";

/** Settings with the models that a version's tasks call, so that placement finds them without reading files. */
export function withTaskModels(servingConfigJson: string, models: readonly string[]): string {
  if (models.length === 0) return servingConfigJson;
  const config = (servingConfigJson === "" ? {} : JSON.parse(servingConfigJson)) as Readonly<Record<string, unknown>>; // Its form was checked when it was stored.
  const parameters = { ...(config["parameters"] as object | undefined), [TASK_MODELS_PARAMETER]: { string_value: models.join(",") } };
  return JSON.stringify({ ...config, parameters });
}

/**
 * Checks the task manifest of a version, where it has one: its fields, and that the files it names are there. Answers the
 * models that its tasks call.
 *
 * @throws StatusError `TASK_MANIFEST_INVALID` naming the field
 */
export async function checkManifest(artifacts: readonly ArtifactRecord[], blobs: Pick<BlobStore, "read">): Promise<readonly string[]> {
  const artifact = artifacts.find(({ path }) => path === MANIFEST_FILE);
  if (artifact === undefined) return [];
  if (artifact.sizeBytes > MANIFEST_BYTES_MAX) throw new StatusError("TASK_MANIFEST_INVALID", `${MANIFEST_FILE} has ${artifact.sizeBytes} bytes, at most ${MANIFEST_BYTES_MAX} are taken`, { metadata: { field: MANIFEST_FILE } });
  // Few versions have one: a registry without them need not hold the library in memory.
  const { filesOf, modelsOf, readTaskManifest } = await import("@servable/preprocessing");
  const parts: Uint8Array[] = [];
  for await (const part of blobs.read(artifact.sha256)) parts.push(part);
  const manifest = readTaskManifest(Buffer.concat(parts).toString("utf8"));
  const missing = filesOf(manifest).find((file) => !artifacts.some(({ path }) => path === file));
  if (missing !== undefined) throw new StatusError("TASK_MANIFEST_INVALID", `${MANIFEST_FILE} names the file "${missing}", which the version lacks: upload it too`, { metadata: { field: missing } });
  return modelsOf(manifest);
}
