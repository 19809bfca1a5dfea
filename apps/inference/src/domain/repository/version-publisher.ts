import { createHash, randomUUID } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Identity } from "@servable/auth";
import type { ModelRegistryService, UploadArtifactRequestSchema } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { REASONS, StatusError, type Reason } from "@servable/errors";
import type { Client } from "@servable/grpc";
import type { VersionFiles } from "./load-overrides.ts";

/** Bytes of one message of an upload. */
const CHUNK_BYTES = 1024 ** 2;

interface CallOptions {
  readonly identity: Identity;
  readonly signal: AbortSignal;
}

/** The registry's calls that publishing needs. */
export type PublisherCalls = Pick<Client<typeof ModelRegistryService>, "createModel" | "getModelVersion" | "createModelVersion" | "uploadArtifact" | "finalizeModelVersion" | "deleteModelVersion" | "deleteModel">;

/** Puts files that came with a load into the registry, as new versions of the model, in the caller's name. */
export class VersionPublisher {
  readonly #registry: PublisherCalls;

  constructor(registry: PublisherCalls) {
    this.#registry = registry;
  }

  /**
   * Publishes all versions or, when one is refused, none of them; answers their numbers. A version that is there with the
   * same files stays as it is; one that is there with other files cannot change, so the files get the next number.
   *
   * @throws StatusError what the registry says of a file
   */
  async publish(identity: Identity, model: string, versions: readonly VersionFiles[], servingConfigJson: string, signal: AbortSignal): Promise<bigint[]> {
    const parent = `projects/${identity.project}/models/${model}`;
    const options = { identity, signal };
    const isNew = await this.#ensureModel(identity, model, signal);
    const made: string[] = [];
    const numbers: bigint[] = [];
    try {
      for (const { number, files } of versions) {
        const known = await this.#find(`${parent}/versions/${number}`, options);
        if (known !== undefined && holds(known, files)) {
          numbers.push(known.number);
          continue;
        }
        const created = await this.#create(parent, number, servingConfigJson, options);
        made.push(created.name);
        numbers.push(created.number);
        for (const [path, bytes] of files) await this.#registry.uploadArtifact(uploadOf(created.name, path, bytes), options);
        const version = await this.#registry.finalizeModelVersion({ name: created.name }, options);
        if (version.state !== ModelVersion_State.FAILED) continue;
        throw new StatusError(version.failureReason in REASONS ? (version.failureReason as Reason) : "MODEL_REFUSED", version.failureMessage);
      }
      return numbers;
    } catch (error) {
      // The refusal is what the caller must hear; what cannot be taken back harms nobody.
      for (const name of made.toReversed()) await this.#registry.deleteModelVersion({ name }, { identity }).catch(() => {});
      if (isNew) await this.#registry.deleteModel({ name: parent, force: false }, { identity }).catch(() => {});
      throw error;
    }
  }

  async #find(name: string, options: CallOptions): Promise<ModelVersion | undefined> {
    try {
      return await this.#registry.getModelVersion({ name }, options);
    } catch (error) {
      if (error instanceof StatusError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** With the caller's number where the model may still give it, else with the next. */
  async #create(parent: string, number: number, servingConfigJson: string, options: CallOptions): Promise<ModelVersion> {
    const request = { parent, modelVersion: { servingConfigJson } };
    try {
      return await this.#registry.createModelVersion({ ...request, requestId: randomUUID(), versionNumber: BigInt(number) }, options);
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "ALREADY_EXISTS") throw error;
      return this.#registry.createModelVersion({ ...request, requestId: randomUUID() }, options);
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

/** Whether a version that serves has these files and no others. */
function holds({ state, artifacts }: ModelVersion, files: ReadonlyMap<string, Uint8Array>): boolean {
  return state === ModelVersion_State.READY && artifacts.length === files.size && artifacts.every(({ path, sha256 }) => digestOf(files.get(path)) === sha256);
}

function digestOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : createHash("sha256").update(bytes).digest("hex");
}

async function* uploadOf(modelVersion: string, path: string, bytes: Uint8Array): AsyncGenerator<MessageInitShape<typeof UploadArtifactRequestSchema>> {
  yield { payload: { case: "head", value: { modelVersion, path, sha256: digestOf(bytes) ?? "", sizeBytes: BigInt(bytes.length) } } };
  for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) yield { payload: { case: "chunk", value: bytes.subarray(offset, offset + CHUNK_BYTES) } };
}
