import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ModelVersion_State } from "@servable/contracts/registry/v1/model_version";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import { createClient, type Channel } from "@servable/grpc";
import { checkArtifactPath } from "@servable/storage";
import type { Identity } from "@servable/auth";
import type { BaseModels } from "../domain/base-model.ts";

const CALL_TIMEOUT_MS = 30_000;
const DOWNLOAD_TIMEOUT_MS = 30 * 60_000;

/** Base models over the registry's API. */
export function registryBaseModels(channel: Channel): BaseModels {
  const registry = createClient(ModelRegistryService, channel);
  const read = async (name: string, identity: Identity, signal: AbortSignal | undefined) => {
    const version = await registry.getModelVersion({ name }, { identity, signal, timeoutMs: CALL_TIMEOUT_MS });
    if (version.state !== ModelVersion_State.READY) {
      throw new StatusError("STATE_WRONG", `training_job.spec.base_model: ${version.name} is ${ModelVersion_State[version.state]}, it must be READY`, { metadata: { field: "training_job.spec.base_model" } });
    }
    return version;
  };
  return {
    resolve: async (name, identity, signal) => {
      const { name: version, digest } = await read(name, identity, signal);
      return { version, digest };
    },
    fetch: async (name, identity, folder, signal) => {
      const { name: version, digest, artifacts } = await read(name, identity, signal);
      for (const { path } of artifacts) {
        checkArtifactPath(path);
        const file = join(folder, path);
        await mkdir(dirname(file), { recursive: true });
        const chunks = async function* (): AsyncGenerator<Uint8Array> {
          for await (const { chunk } of registry.downloadArtifact({ modelVersion: version, path }, { identity, signal, timeoutMs: DOWNLOAD_TIMEOUT_MS })) yield chunk;
        };
        await pipeline(Readable.from(chunks()), createWriteStream(file));
      }
      return { version, digest };
    },
  };
}
