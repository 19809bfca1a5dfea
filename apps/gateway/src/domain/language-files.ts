import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import { createTokenizer } from "@servable/tokenizers";
import { LRUCache } from "lru-cache";
import type { Caller } from "./caller.ts";
import type { LanguageFiles, ReadLanguageFiles } from "./text-generator.ts";

/** Vocabularies that are held at once. */
const KEPT_MAX = 8;
const FILE_BYTES_MAX = 64 * 1024 * 1024;
const CALL_TIMEOUT_MS = 60_000;

/** The files of language models, from the registry; those used lately are kept. */
export function createLanguageFiles(registry: Client<typeof ModelRegistryService>, deployments: Client<typeof DeploymentService>): ReadLanguageFiles {
  const kept = new LRUCache<string, Promise<LanguageFiles>>({ max: KEPT_MAX });
  return async (deployment, version, caller) => {
    const { project } = caller.identity;
    const options = { identity: caller.identity, signal: caller.signal, timeoutMs: CALL_TIMEOUT_MS };
    const { model } = await deployments.getDeployment({ name: `projects/${project}/deployments/${deployment}` }, options);
    const name = `${model}/versions/${version}`;
    const known = kept.get(name);
    if (known !== undefined) return known;
    // Whoever comes first reads for all: it must not stop when that one goes away.
    const reading = readFiles(registry, name, caller);
    kept.set(name, reading);
    reading.catch(() => kept.delete(name));
    return reading;
  };
}

async function readFiles(registry: Client<typeof ModelRegistryService>, modelVersion: string, { identity }: Caller): Promise<LanguageFiles> {
  const options = { identity, timeoutMs: CALL_TIMEOUT_MS };
  const { artifacts } = await registry.getModelVersion({ name: modelVersion }, options);
  const text = async (path: string): Promise<string | undefined> => {
    const artifact = artifacts.find((each) => each.path === path);
    if (artifact === undefined) return undefined;
    if (artifact.sizeBytes > FILE_BYTES_MAX) throw new StatusError("ARTIFACT_TOO_LARGE", `${path} of ${modelVersion} has ${artifact.sizeBytes} bytes, at most ${FILE_BYTES_MAX} are read`);
    const chunks: Uint8Array[] = [];
    for await (const { chunk } of registry.downloadArtifact({ modelVersion, path }, options)) chunks.push(chunk);
    return Buffer.concat(chunks).toString("utf8");
  };
  const tokenizer = await text("tokenizer.json");
  if (tokenizer === undefined) throw new StatusError("ARTIFACT_NOT_FOUND", `${modelVersion} has no tokenizer.json: import the model with it to have it generate text`, { metadata: { path: "tokenizer.json" } });
  const config = JSON.parse((await text("config.json")) ?? "{}") as Record<string, unknown>;
  const ends = [config["eos_token_id"]].flat().filter((id) => typeof id === "number");
  const positions = Number(config["n_positions"] ?? config["max_position_embeddings"] ?? 2_048);
  return { tokenizer: createTokenizer(tokenizer), endIds: new Set(ends), positions };
}
