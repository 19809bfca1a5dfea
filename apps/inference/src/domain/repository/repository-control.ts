// Triton's load and unload are writes of desired state that wait for the outcome: the registry decides, replicas follow.

import { setTimeout as delay } from "node:timers/promises";
import type { Identity } from "@servable/auth";
import { Deployment_State, type DeploymentService } from "@servable/contracts/registry/v1/deployment";
import type { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import type { Client } from "@servable/grpc";
import { referencesOf } from "../executors/create-pipeline.ts";
import type { LoadOverrides } from "./load-overrides.ts";
import { versionPolicyOf } from "../config/load-policy.ts";
import type { LoadedModel } from "./loaded-model.ts";
import type { ModelRepository } from "./model-repository.ts";
import { GRAPH_PARAMETER, isPipeline } from "../config/pipeline-config.ts";
import { mergeSettings } from "../config/serving-settings.ts";
import { VersionPublisher } from "./version-publisher.ts";

/** How long a load may take when the caller does not say. */
const LOAD_MS_MAX = 300_000;
/** How long a load waits for versions to go that it replaced; they drain, so it may take its time. */
const GONE_MS_MAX = 5_000;
const GONE_POLL_MS = 50;

/** One line of the repository's index. */
export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: "READY" | "LOADING" | "UNLOADING" | "UNAVAILABLE";
  readonly reason: string;
}

/** Load, unload and index in the caller's project. */
export class RepositoryControl {
  readonly #deployments: Client<typeof DeploymentService>;
  readonly #models: Client<typeof ModelRegistryService>;
  readonly #repository: ModelRepository;
  readonly #publisher: VersionPublisher;

  constructor(deployments: Client<typeof DeploymentService>, models: Client<typeof ModelRegistryService>, repository: ModelRepository) {
    this.#deployments = deployments;
    this.#models = models;
    this.#repository = repository;
    this.#publisher = new VersionPublisher(models);
  }

  /**
   * Deploys a model under its own name and waits until it serves; files that the call brings become new versions first.
   *
   * @throws StatusError in Triton's words, "failed to load …"
   */
  async load(identity: Identity, name: string, overrides: LoadOverrides, signal: AbortSignal): Promise<void> {
    checkName(name);
    return this.#load(identity, name, overrides, signal, [name]);
  }

  /** @param path the pipelines that led here: one that calls itself is refused when it is loaded, not gone after for ever */
  async #load(identity: Identity, name: string, { configJson: servingConfigJson, versions }: LoadOverrides, signal: AbortSignal, path: readonly string[]): Promise<void> {
    const parent = `projects/${identity.project}`;
    const options = { identity, signal, timeoutMs: LOAD_MS_MAX };
    try {
      const brought = versions.length === 0 ? [] : await this.#publisher.publish(identity, name, versions, servingConfigJson ?? "", signal);
      const versionPolicy = versionPolicyOf(servingConfigJson, brought);
      const deployment = { name: `${parent}/deployments/${name}`, model: `${parent}/models/${name}`, servingConfigJson: servingConfigJson ?? "", ...(versionPolicy !== undefined && { versionPolicy }) };
      await this.#loadSteps(identity, name, servingConfigJson ?? "", signal, path);
      try {
        await this.#deployments.createDeployment({ parent, deploymentId: name, deployment }, options);
      } catch (error) {
        if (!(error instanceof StatusError) || error.reason !== "ALREADY_EXISTS") throw error;
        // A load with a configuration always loads anew; one without only makes sure that the model serves.
        if (servingConfigJson !== undefined) await this.#deployments.updateDeployment({ deployment, updateMask: { paths: ["serving_config_json", ...(versionPolicy === undefined ? [] : ["version_policy"])] } }, options);
      }
      for await (const { state, failureMessage, wantedVersions } of this.#deployments.watchDeployment({ name: deployment.name }, options)) {
        if (state === Deployment_State.FAILED) throw new StatusError("MODEL_LOAD_FAILED", failureMessage);
        if (state !== Deployment_State.READY) continue;
        await this.#untilGone(deployment.name, wantedVersions, options);
        return;
      }
    } catch (error) {
      const failure = StatusError.from(error);
      if (failure.code === "PERMISSION_DENIED" || failure.code === "CANCELLED" || failure.code === "DEADLINE_EXCEEDED") throw failure;
      const detail = failure.reason === "MODEL_NOT_FOUND" ? "failed to poll from model repository" : failure.reason === "MODEL_LOAD_FAILED" ? `load failed for model '${name}': ${failure.message}` : failure.message;
      throw new StatusError(failure.reason, `failed to load '${name}', ${detail}`, { code: failure.code, cause: error });
    }
  }

  /** The models that a pipeline calls are loaded before it, unless they are deployed already. */
  async #loadSteps(identity: Identity, name: string, overrideJson: string, signal: AbortSignal, path: readonly string[]): Promise<void> {
    const options = { identity, signal };
    const model = await this.#models.getModel({ name: `projects/${identity.project}/models/${name}` }, options);
    if (model.latestVersion === 0n) return;
    const { servingConfigJson } = await this.#models.getModelVersion({ name: `${model.name}/versions/${model.latestVersion}` }, options);
    const settings = [servingConfigJson, overrideJson];
    if (!settings.some(mayBePipeline)) return;
    for (const step of new Set(referencesOf(mergeSettings(settings)).map((reference) => reference.model))) {
      if (path.includes(step) || this.#repository.of(`projects/${identity.project}/deployments/${step}`).length > 0) continue;
      try {
        await this.#load(identity, step, { configJson: undefined, versions: [] }, signal, [...path, step]);
      } catch (error) {
        const { code, message } = StatusError.from(error);
        throw new StatusError("STEP_NOT_READY", `it depends on '${step}': ${message}`, { code, cause: error });
      }
    }
  }

  /** What is no longer wanted must not answer once the caller was told that the load is done: here or on another replica. */
  async #untilGone(deployment: string, wanted: readonly bigint[], options: { readonly identity: Identity; readonly signal: AbortSignal }): Promise<void> {
    for (let waitedMs = 0; waitedMs < GONE_MS_MAX; waitedMs += GONE_POLL_MS) {
      const { readyVersions } = await this.#deployments.getDeployment({ name: deployment }, options);
      if (readyVersions.every((version) => wanted.includes(version))) return;
      await delay(GONE_POLL_MS, undefined, { signal: options.signal });
    }
  }

  /** Undeploys a model and waits until this replica has let it go; one that is not deployed is fine. */
  async unload(identity: Identity, name: string, options: { readonly dependents: boolean }, signal: AbortSignal): Promise<void> {
    const deployment = `projects/${identity.project}/deployments/${name}`;
    const steps = options.dependents ? stepsOf(this.#repository.of(deployment)) : [];
    try {
      await this.#deployments.deleteDeployment({ name: deployment }, { identity, signal });
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "DEPLOYMENT_NOT_FOUND") throw error;
      return;
    }
    while (this.#repository.of(deployment).length > 0) {
      signal.throwIfAborted();
      await this.#repository.changed(signal);
    }
    // Steps that another ensemble uses stay.
    const used = new Set(stepsOf(this.#repository.all()));
    for (const step of steps) if (step !== name && !used.has(step)) await this.unload(identity, step, { dependents: false }, signal);
  }

  /** Deployed versions with their state here, and models of the project that are not deployed. */
  async index(identity: Identity, readyOnly: boolean, signal: AbortSignal): Promise<IndexEntry[]> {
    const prefix = `projects/${identity.project}/deployments/`;
    const held: IndexEntry[] = this.#repository
      .all()
      .filter(({ spec }) => spec.deployment.startsWith(prefix))
      .map((model) => ({ name: model.spec.name, version: String(model.spec.version), ...stateAndReason(model) }));
    if (readyOnly) return held.filter(({ state }) => state === "READY");
    const names = new Set(held.map(({ name }) => name));
    let pageToken = "";
    const idle: IndexEntry[] = [];
    do {
      const page = await this.#models.listModels({ parent: `projects/${identity.project}`, pageSize: 1_000, pageToken }, { identity, signal });
      for (const { name, latestVersion } of page.models) {
        const id = name.split("/").at(-1) ?? "";
        if (!names.has(id)) idle.push({ name: id, version: latestVersion === 0n ? "" : String(latestVersion), state: "UNAVAILABLE", reason: "unloaded" });
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return [...held, ...idle].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** Models that pipelines among these call. */
function stepsOf(models: readonly LoadedModel[]): string[] {
  return [...new Set(models.flatMap(({ spec: { config } }) => (isPipeline(config) ? referencesOf(config).map(({ model }) => model) : [])))];
}

/** Whether settings can be a pipeline's: those of other models need not be read. */
function mayBePipeline(servingConfigJson: string): boolean {
  return servingConfigJson.includes(GRAPH_PARAMETER) || /ensemble_?scheduling/i.test(servingConfigJson);
}

/** The protocol knows no idle models: whoever asks wants to know whether a call would be answered. */
function stateAndReason({ state, message, isServing }: LoadedModel): Pick<IndexEntry, "state" | "reason"> {
  if (state === "FAILED") return { state: "UNAVAILABLE", reason: message };
  if (state === "IDLE" || isServing) return { state: "READY", reason: state === "READY" ? message : "not in memory: the next call loads it" };
  return { state, reason: message };
}

/** Names that could be no folder of a repository are refused in the words that the protocol's own tests look for. */
function checkName(name: string): void {
  const metadata = { field: "model_name" };
  if (name.trim() === "") throw new StatusError("FIELD_REQUIRED", "failed to load: Model name cannot be empty. Please enter a valid name to deploy.", { metadata });
  if (/[/\\]/.test(name) || [".", ".."].includes(name.trim())) {
    throw new StatusError("FIELD_INVALID", `failed to load '${name}', model name must not contain path traversal characters`, { metadata });
  }
}
