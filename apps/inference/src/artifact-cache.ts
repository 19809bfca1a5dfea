// Every version that is loaded gets one folder with all its files: <cache>/versions/<digest>/model.onnx, labels, warm-up
// data, … The files are hard links to blobs, so that a version costs no space of its own and all engines of a machine read
// the same pages. Large weights are moved to <cache>/tensors/<sha256> (see worker/share-weights.ts).
//
// I1  A folder is complete from the moment it has its name: it is built under another one and renamed.
// I2  Files in a folder are never written to: they are the blobs themselves.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Assignment } from "@servable/contracts/registry/v1/deployment";
import type { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import type { Artifact, ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import { linkArtifacts, type BlobStore } from "@servable/storage/files";
import type { SharedWeights } from "./worker/share-weights.ts";

/** What the cache stands on. */
export interface ArtifactCacheOptions {
  readonly registry: Pick<Client<typeof ModelRegistryService>, "downloadArtifact">;
  readonly blobs: BlobStore;
  /** Holds the folders of versions and the tensors that they share; on the blobs' device, or everything is copied. */
  readonly directory: string;
  /** Told of weights that were laid out, or could not be. */
  readonly onEvent?: (event: string, fields: Record<string, unknown>) => void;
}

/** Brings a version's files onto this machine and answers the folder that holds them. */
export type ArtifactCache = (assignment: Assignment) => Promise<string>;

/** Below this there is nothing to gain from sharing weights. */
const SHARED_BYTES_MIN = 1024 ** 2;
/** Laying out reads and hashes every byte; what takes longer is served without sharing. */
const SHARE_MS_MAX = 120_000;
/** A folder that nobody loaded for so long is removed at the next start. */
const UNUSED_MS_MAX = 7 * 24 * 3_600_000;
const TOUCH_EVERY_MS = 12 * 3_600_000;
const WORKER = fileURLToPath(new URL("./worker/share-weights.ts", import.meta.url));

/** A cache of versions: by digest, so that a file that is there is not pulled again. */
export async function createArtifactCache({ registry, blobs, directory, onEvent }: ArtifactCacheOptions): Promise<ArtifactCache> {
  const versions = join(directory, "versions");
  const tensors = join(directory, "tensors");
  await mkdir(versions, { recursive: true });
  await removeUnused(versions, tensors);
  const used = new Set<string>();
  setInterval(() => used.forEach((folder) => void touch(folder)), TOUCH_EVERY_MS).unref();
  const building = new Map<string, Promise<string>>();

  const pull = async (version: ModelVersion, { path, sha256, sizeBytes }: Artifact): Promise<void> => {
    if ((await blobs.sizeOf(sha256)) !== undefined) return;
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for await (const { chunk } of registry.downloadArtifact({ modelVersion: version.name, path })) if (chunk.length > 0) yield chunk;
    }
    await blobs.put(chunks(), { sha256, sizeBytes: Number(sizeBytes) });
  };
  const build = async (version: ModelVersion, target: string): Promise<string> => {
    for (const artifact of version.artifacts) await pull(version, artifact);
    const folder = join(versions, `building-${process.pid}-${randomUUID()}`);
    try {
      await linkArtifacts(folder, version.artifacts, blobs);
      if (bytesOf(version) >= SHARED_BYTES_MIN) await share(version, folder);
      await rename(folder, target); // I1
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      // Another replica on this machine was faster.
      if (!(await exists(target))) throw error;
    }
    return target;
  };
  const share = async (version: ModelVersion, folder: string): Promise<void> => {
    try {
      onEvent?.("weights_shared", { version: version.name, ...(await shareWeights(folder, tensors)) });
    } catch (error) {
      // It is served all the same, with weights of its own.
      onEvent?.("weights_not_shared", { version: version.name, reason: (error as Error).message });
      await rm(folder, { recursive: true, force: true });
      await linkArtifacts(folder, version.artifacts, blobs);
    }
  };

  return async ({ modelVersion: version }) => {
    if (version === undefined) throw new StatusError("ARTIFACT_NOT_FOUND", "the assignment has no version");
    const digest = /^sha256:([0-9a-f]{64})$/.exec(version.digest)?.[1];
    if (digest === undefined) throw new StatusError("ARTIFACT_NOT_FOUND", `${version.name} has no digest`);
    const folder = join(versions, digest);
    used.add(folder);
    if (await exists(folder)) {
      await touch(folder);
      return folder;
    }
    const pending = building.get(digest) ?? build(version, folder).finally(() => building.delete(digest));
    building.set(digest, pending);
    return pending;
  };
}

function bytesOf({ artifacts }: ModelVersion): number {
  return artifacts.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
}

async function shareWeights(folder: string, tensors: string): Promise<SharedWeights> {
  const child = spawn(process.execPath, [WORKER, folder, tensors], { stdio: ["ignore", "ignore", "pipe", "ipc"], env: { PATH: process.env["PATH"], NODE_ENV: "production" }, timeout: SHARE_MS_MAX, killSignal: "SIGKILL" });
  const { promise, resolve, reject } = Promise.withResolvers<SharedWeights>();
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-2_000)));
  child.once("message", (message) => resolve(message as SharedWeights));
  child.once("error", reject);
  child.once("close", (code, signal) => reject(new Error(/^\w*Error: .*$/m.exec(stderr)?.[0] ?? `the process ended (${signal ?? `code ${code}`})`)));
  return promise;
}

/** Folders of builds that died, and those that nobody used for long; then tensors that no folder links to. */
async function removeUnused(versions: string, tensors: string): Promise<void> {
  for (const name of await readdir(versions)) {
    const folder = join(versions, name);
    const [, pid] = /^building-(\d+)-/.exec(name) ?? [];
    const { mtimeMs } = await stat(folder);
    if (pid === undefined ? Date.now() - mtimeMs > UNUSED_MS_MAX : !isAlive(Number(pid))) await rm(folder, { recursive: true, force: true });
  }
  for (const name of await readdir(tensors).catch(() => [])) {
    const { nlink, mtimeMs } = await stat(join(tensors, name));
    if (nlink === 1 && Date.now() - mtimeMs > SHARE_MS_MAX) await rm(join(tensors, name), { force: true });
  }
}

/** The time of last use is the folder's own. */
async function touch(folder: string): Promise<void> {
  const now = new Date();
  // A folder that was removed by hand is built again at the next load.
  await utimes(folder, now, now).catch(() => {});
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
