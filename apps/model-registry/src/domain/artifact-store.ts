import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import type { ModelSignature } from "@servable/onnx";
import { linkArtifacts, type BlobStore } from "@servable/storage";
import { checkManifest, withTaskModels } from "./manifest-check.ts";
import { ModelCatalog, stateWrong } from "./model-catalog.ts";
import { pipelineSignatureOf } from "./pipeline-signature.ts";
import type { ArtifactRecord, VersionRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";

/** The file of a version that is run. */
export const MODEL_FILE = "model.onnx";

/** No check takes so long: whatever is older was left behind by a process that died. */
const CHECK_MS_MAX = 3_600_000;

/** What a model file was found to be. */
export type ValidationResult = { readonly ok: true; readonly signature: ModelSignature } | { readonly ok: false; readonly reason: string; readonly message: string };

/** Checks a model file where it can do no harm; the version's other files stand beside it. */
export type Validator = (path: string, signal: AbortSignal) => Promise<ValidationResult>;

/** What the store of artifacts stands on. */
export interface ArtifactStoreDeps {
  readonly catalog: ModelCatalog;
  readonly store: RegistryStore;
  readonly blobs: BlobStore;
  readonly validate: Validator;
  readonly artifactBytesMax: number;
  /** Where versions are laid out to be checked; on the blobs' device, so that nothing is copied. */
  readonly checkDir: string;
}

/** Uploads, checks and downloads of versions' files. A version becomes READY only after its model file was checked. */
export class ArtifactStore {
  readonly #deps: ArtifactStoreDeps;

  constructor(deps: ArtifactStoreDeps) {
    this.#deps = deps;
  }

  /** @throws StatusError `STATE_WRONG`, `ARTIFACT_DIGEST_MISMATCH`, `ARTIFACT_TOO_LARGE`, `FIELD_INVALID` */
  async upload(versionName: string, path: string, chunks: AsyncIterable<Uint8Array>, expected: { sha256: string; sizeBytes: number }): Promise<ArtifactRecord> {
    checkPath(path);
    if (expected.sha256 !== "" && !/^[0-9a-fA-F]{64}$/.test(expected.sha256)) {
      throw new StatusError("FIELD_INVALID", "head.sha256 must be 64 hexadecimal digits", { metadata: { field: "head.sha256" } });
    }
    await this.#pending(versionName);
    const { sha256, sizeBytes } = await this.#deps.blobs.put(chunks, {
      sha256: expected.sha256 === "" ? undefined : expected.sha256,
      sizeBytes: expected.sizeBytes > 0 ? expected.sizeBytes : undefined,
      bytesMax: this.#deps.artifactBytesMax,
    });
    const artifact = { path, sha256, sizeBytes };
    await this.#pending(versionName);
    await this.#deps.store.versions.putArtifact(versionName, artifact);
    return artifact;
  }

  /** Checks the model file, or the configuration of a pipeline, and decides the version: READY or FAILED. @throws StatusError `STATE_WRONG` */
  async finalize(versionName: string, principal: string, signal: AbortSignal): Promise<VersionRecord> {
    const version = await this.#pending(versionName);
    const { result, models } = await this.#withManifest(version, await this.#check(version, signal));
    return this.#deps.catalog.finishVersion(
      result.ok
        ? { ...version, state: "READY", digest: digestOf(version.artifacts), signature: result.signature, servingConfigJson: withTaskModels(version.servingConfigJson, models) }
        : { ...version, state: "FAILED", failureReason: result.reason, failureMessage: result.message },
      principal,
    );
  }

  /** @throws StatusError `ARTIFACT_NOT_FOUND`, `OFFSET_OUT_OF_RANGE`, `ARTIFACT_CORRUPT` */
  async open(versionName: string, path: string, offsetBytes: number): Promise<{ artifact: ArtifactRecord; chunks: AsyncIterable<Uint8Array> }> {
    const version = await this.#deps.catalog.getVersion(versionName);
    const artifact = version.artifacts.find((each) => each.path === path);
    if (artifact === undefined) throw new StatusError("ARTIFACT_NOT_FOUND", `${versionName} has no artifact "${path}": it has ${version.artifacts.map((each) => each.path).join(", ") || "none"}`, { metadata: { path } });
    return { artifact, chunks: this.#deps.blobs.read(artifact.sha256, { offsetBytes }) };
  }

  /** A model that is well but says wrong things of itself is refused too. */
  async #withManifest({ artifacts }: VersionRecord, result: ValidationResult): Promise<{ result: ValidationResult; models: readonly string[] }> {
    if (!result.ok) return { result, models: [] };
    try {
      return { result, models: await checkManifest(artifacts, this.#deps.blobs) };
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "TASK_MANIFEST_INVALID") throw error;
      return { result: { ok: false, reason: error.reason, message: error.message }, models: [] };
    }
  }

  async #check(version: VersionRecord, signal: AbortSignal): Promise<ValidationResult> {
    if (version.artifacts.some(({ path }) => path === MODEL_FILE)) {
      await mkdir(this.#deps.checkDir, { recursive: true });
      await removeAbandoned(this.#deps.checkDir);
      const folder = await mkdtemp(join(this.#deps.checkDir, "version-"));
      try {
        await linkArtifacts(folder, version.artifacts, this.#deps.blobs);
        return await this.#deps.validate(join(folder, MODEL_FILE), signal);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    try {
      const signature = pipelineSignatureOf(version.servingConfigJson);
      if (signature !== undefined) return { ok: true, signature };
    } catch (error) {
      const { reason, message } = StatusError.from(error);
      return { ok: false, reason, message };
    }
    throw new StatusError("STATE_WRONG", `${version.name} has no artifact "${MODEL_FILE}": upload it first`, { metadata: { state: version.state } });
  }

  async #pending(name: string): Promise<VersionRecord> {
    const version = await this.#deps.catalog.getVersion(name);
    if (version.state !== "PENDING") throw stateWrong(version);
    return version;
  }
}

/** Folders of checks whose process died; another registry on these blobs may be checking right now. */
async function removeAbandoned(checkDir: string): Promise<void> {
  for (const name of await readdir(checkDir)) {
    const folder = join(checkDir, name);
    const startedMs = await stat(folder).then(({ mtimeMs }) => mtimeMs, () => Date.now());
    if (Date.now() - startedMs > CHECK_MS_MAX) await rm(folder, { recursive: true, force: true });
  }
}

/** One digest for all files: "sha256:…" over the sorted lines "path sha256". */
function digestOf(artifacts: readonly ArtifactRecord[]): string {
  const lines = artifacts.map(({ path, sha256 }) => `${path} ${sha256}\n`).sort();
  return `sha256:${createHash("sha256").update(lines.join("")).digest("hex")}`;
}

function checkPath(path: string): void {
  if (!/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(path) || path.split("/").some((part) => part === "." || part === "..") || path.length > 200) {
    throw new StatusError("FIELD_INVALID", `head.path="${path.slice(0, 80)}" must be a relative file name of letters, digits, ".", "_", "-" and "/"`, { metadata: { field: "head.path" } });
  }
}
