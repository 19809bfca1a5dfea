import { setTimeout as sleep } from "node:timers/promises";
import { Deployment_State, DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import { createClient, type Channel } from "@servable/grpc";
import type { TuningBases } from "../domain/fine-tuning/fine-tuning-jobs.ts";
import type { TuningFamily } from "../domain/fine-tuning/records.ts";
import type { TuningFollowerDeps } from "../domain/fine-tuning/tuning-follower.ts";

const CALL_TIMEOUT_MS = 30_000;
/** How long a result may take to be loaded before the job ends all the same: it then serves when it is. */
const READY_WAIT_MS = 60_000;
const READY_LOOK_MS = 100;
const CONFIG_BYTES_MAX = 1024 * 1024;

/** Base models for fine-tuning, over the registry's API. */
export function registryTuningBases(channel: Channel): TuningBases {
  const registry = createClient(ModelRegistryService, channel);
  return {
    inspect: async ({ project, model, version }, identity) => {
      const options = { identity, timeoutMs: CALL_TIMEOUT_MS };
      const name = `projects/${project}/models/${model}`;
      const { latestVersion } = await registry.getModel({ name }, options);
      if (version === "" && latestVersion === 0n) throw invalid(`${model} has no READY version`);
      const found = await registry.getModelVersion({ name: `${name}/versions/${version === "" ? latestVersion : version}` }, options);
      if (found.state !== ModelVersion_State.READY) throw invalid(`version ${found.number} of ${model} is not READY`);
      return { version: found.name, family: familyOf(found), positions: await positionsOf(found, (path) => registry.downloadArtifact({ modelVersion: found.name, path }, options)) };
    },
  };
}

/** How many tokens a model reads, as its config.json says in Hugging Face's words. */
async function positionsOf({ artifacts }: ModelVersion, read: (path: string) => AsyncIterable<{ readonly chunk: Uint8Array }>): Promise<number | undefined> {
  const file = artifacts.find(({ path }) => path === "config.json");
  if (file === undefined || file.sizeBytes > CONFIG_BYTES_MAX) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const { chunk } of read(file.path)) chunks.push(chunk);
  try {
    const config = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Record<string, unknown>;
    const positions = Number(config["n_positions"] ?? config["max_position_embeddings"]);
    return Number.isInteger(positions) && positions > 0 ? positions : undefined;
  } catch {
    // Whoever trains reads the file too, and says what is wrong with it.
    return undefined;
  }
}

/** Decoders answer logits for every token and read tokens alone; whatever else reads tokens is an encoder. */
function familyOf({ name, signature }: ModelVersion): TuningFamily {
  const inputs = signature?.inputs ?? [];
  if (!inputs.some((input) => input.datatype === "INT64" && input.shape.length === 2)) throw invalid(`${name} reads no tokens: fine-tuning takes models of texts, with an input "input_ids" [batch, sequence]`);
  const decodes = inputs.length === 1 && (signature?.outputs ?? []).some((output) => output.name === "logits" && output.shape.length === 3);
  return decodes ? "causal_lm" : "text_classifier";
}

/** Deploys results, over the registry's API. */
export function registryDeployer(channel: Channel): TuningFollowerDeps["deploy"] {
  const deployments = createClient(DeploymentService, channel);
  return async ({ project, name, model }, identity, signal) => {
    const options = { identity, signal, timeoutMs: CALL_TIMEOUT_MS };
    await deployments.createDeployment({ parent: `projects/${project}`, deploymentId: name, deployment: { model } }, options).catch((error: unknown) => {
      if (StatusError.from(error).reason !== "ALREADY_EXISTS") throw error;
    });
    for (let waitedMs = 0; waitedMs < READY_WAIT_MS; waitedMs += READY_LOOK_MS) {
      const { state, failureMessage } = await deployments.getDeployment({ name: `projects/${project}/deployments/${name}` }, options);
      if (state === Deployment_State.READY) return;
      if (state === Deployment_State.FAILED) throw new StatusError("MODEL_LOAD_FAILED", `the fine-tuned model could not be loaded: ${failureMessage}`);
      await sleep(READY_LOOK_MS, undefined, { signal });
    }
  };
}

function invalid(what: string): StatusError {
  return new StatusError("FIELD_INVALID", `model: ${what}`, { metadata: { field: "model" } });
}
