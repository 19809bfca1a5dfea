import { createHash, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Identity } from "@servable/auth";
import type { ModelRegistryService, UploadArtifactRequestSchema } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State } from "@servable/contracts/registry/v1/model_version";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import type { Client } from "@servable/grpc";
import type { VersionFiles } from "./load-overrides.ts";

/** Bytes of one message of an upload. */
const CHUNK_BYTES = 1024 ** 2;

/** The registry's calls that publishing needs. */
export type PublisherCalls = Pick<Client<typeof ModelRegistryService>, "createModel" | "createModelVersion" | "uploadArtifact" | "finalizeModelVersion" | "deleteModelVersion" | "deleteModel">;

/** Puts files that came with a load into the registry, as new versions of the model, in the caller's name. */
export class VersionPublisher {
  readonly #registry: PublisherCalls;

  constructor(registry: PublisherCalls) {
    this.#registry = registry;
  }

  /** Publishes all versions or, when one is refused, none of them. @throws StatusError what the registry says of a file */
  async publish(identity: Identity, model: string, versions: readonly VersionFiles[], servingConfigJson: string, signal: AbortSignal): Promise<void> {
    const parent = `projects/${identity.project}/models/${model}`;
    const options = { identity, signal };
    const isNew = await this.#ensureModel(identity, model, signal);
    const made: string[] = [];
    try {
      for (const { files } of versions) {
        const { name } = await this.#registry.createModelVersion({ parent, requestId: randomUUID(), modelVersion: { servingConfigJson } }, options);
        made.push(name);
        for (const [path, bytes] of files) await this.#registry.uploadArtifact(uploadOf(name, path, bytes), options);
        const version = await this.#registry.finalizeModelVersion({ name }, options);
        if (version.state !== ModelVersion_State.FAILED) continue;
        throw new StatusError(version.failureReason in REASONS ? (version.failureReason as Reason) : "MODEL_REFUSED", version.failureMessage);
      }
    } catch (error) {
      // The refusal is what the caller must hear; what cannot be taken back harms nobody.
      for (const name of made.toReversed()) await this.#registry.deleteModelVersion({ name }, { identity }).catch(() => {});
      if (isNew) await this.#registry.deleteModel({ name: parent, force: false }, { identity }).catch(() => {});
      throw error;
    }
  }

  async #ensureModel(identity: Identity, model: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#registry.createModel({ parent: `projects/${identity.project}`, modelId: model }, { identity, signal });
      return true;
    } catch (error) {
      if (error instanceof StatusError && error.reason === "ALREADY_EXISTS") return false;
      throw error;
    }
  }
}

async function* uploadOf(modelVersion: string, path: string, bytes: Uint8Array): AsyncGenerator<MessageInitShape<typeof UploadArtifactRequestSchema>> {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  yield { payload: { case: "head", value: { modelVersion, path, sha256, sizeBytes: BigInt(bytes.length) } } };
  for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) yield { payload: { case: "chunk", value: bytes.subarray(offset, offset + CHUNK_BYTES) } };
}
