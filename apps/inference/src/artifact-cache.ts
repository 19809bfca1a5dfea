import type { Assignment } from "@servable/contracts/registry/v1/deployment";
import type { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import type { BlobStore } from "@servable/storage";

/**
 * Brings model files onto this machine: by digest, so that a file that is there is not pulled again. Where replica and
 * registry share a folder of blobs nothing is copied at all.
 */
export function createArtifactCache(registry: Client<typeof ModelRegistryService>, blobs: BlobStore): (assignment: Assignment) => Promise<string> {
  return async ({ modelVersion }) => {
    const artifact = modelVersion?.artifacts.find(({ path }) => path === "model.onnx");
    if (modelVersion === undefined || artifact === undefined) throw new StatusError("ARTIFACT_NOT_FOUND", `${modelVersion?.name ?? "the version"} has no model.onnx`);
    if ((await blobs.sizeOf(artifact.sha256)) === undefined) {
      async function* chunks(name: string, path: string): AsyncGenerator<Uint8Array> {
        for await (const { chunk } of registry.downloadArtifact({ modelVersion: name, path })) if (chunk.length > 0) yield chunk;
      }
      await blobs.put(chunks(modelVersion.name, artifact.path), { sha256: artifact.sha256, sizeBytes: Number(artifact.sizeBytes) });
    }
    return blobs.path(artifact.sha256);
  };
}
