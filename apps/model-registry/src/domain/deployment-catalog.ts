import { checkEtag, checkServedName, etagOf, formatName, parseName } from "@servable/aip";
import { StatusError } from "@servable/errors";
import { ALIAS, MODEL, appendEvent, checkServingConfig, stateWrong, type CatalogDeps } from "./model-catalog.ts";
import { deploymentViolations, refuseViolations } from "./promotion-gate.ts";
import type { DeploymentRecord, VersionPolicyRecord, VersionRecord } from "./records.ts";
import type { RegistryStore } from "./registry-store.ts";

export const DEPLOYMENT = "projects/{project}/deployments/{deployment}";

const REPLICAS_MAX = 1_000;
const VERSIONS_MAX = 32;
/** How far a gate makes a deployment look back for a version that passes. */
const VERSIONS_LOOKED_AT_MAX = 200;

/** What a caller may say of a deployment. */
export interface DeploymentFields {
  readonly policy: VersionPolicyRecord;
  readonly replicaCount: number;
  readonly servingConfigJson: string;
}

/** Deployments: what operators want to be served. */
export class DeploymentCatalog {
  readonly #deps: CatalogDeps;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  /** @throws StatusError `ALREADY_EXISTS`, `MODEL_NOT_FOUND`, `STATE_WRONG`, `FIELD_INVALID` */
  async create(parent: string, id: string, modelName: string, fields: DeploymentFields, principal: string): Promise<DeploymentRecord> {
    const { project } = parseName("projects/{project}", parent, "parent");
    if (parseName(MODEL, modelName, "deployment.model").project !== project) {
      throw new StatusError("FIELD_INVALID", "deployment.model must be a model of the same project", { metadata: { field: "deployment.model" } });
    }
    const now = this.#deps.now();
    const deployment: DeploymentRecord = {
      name: formatName(DEPLOYMENT, { project, deployment: checkServedName("deployment_id", id) }),
      project,
      model: modelName,
      ...checkFields(fields),
      revision: 1,
      createTimeMs: now,
      updateTimeMs: now,
    };
    await this.#commit("deployment.created", deployment.name, principal, async (store) => {
      await this.#requireVersions(store, deployment);
      await store.deployments.insert(deployment);
    });
    return deployment;
  }

  /** @throws StatusError `DEPLOYMENT_NOT_FOUND` */
  async get(name: string): Promise<DeploymentRecord> {
    parseName(DEPLOYMENT, name);
    return this.#deployment(this.#deps.store, name);
  }

  list(parent: string, options: { after: string | number | undefined; limit: number }): Promise<DeploymentRecord[]> {
    return this.#deps.store.deployments.list(parseName("projects/{project}", parent, "parent").project, options);
  }

  /** @throws StatusError `DEPLOYMENT_NOT_FOUND`, `ETAG_MISMATCH`, `STATE_WRONG`, `FIELD_INVALID` */
  async update(name: string, etag: string, change: Partial<DeploymentFields>, principal: string): Promise<DeploymentRecord> {
    return this.#commit("deployment.updated", name, principal, async (store) => {
      const stored = await this.#deployment(store, name);
      checkEtag(etag, etagOf(stored.revision));
      const { policy, replicaCount, servingConfigJson } = { ...stored, ...change };
      const deployment = { ...stored, ...checkFields({ policy, replicaCount, servingConfigJson }), revision: stored.revision + 1, updateTimeMs: this.#deps.now() };
      await this.#requireVersions(store, deployment);
      await store.deployments.update(deployment);
      return deployment;
    });
  }

  /** @throws StatusError `DEPLOYMENT_NOT_FOUND` */
  async delete(name: string, principal: string): Promise<void> {
    parseName(DEPLOYMENT, name);
    await this.#commit("deployment.deleted", name, principal, async (store) => {
      await this.#deployment(store, name);
      await store.deployments.delete(name);
    });
  }

  async #requireVersions(store: RegistryStore, deployment: DeploymentRecord): Promise<void> {
    const model = await store.models.get(deployment.model);
    if (model === undefined) throw new StatusError("MODEL_NOT_FOUND", `there is no ${deployment.model}: import or train it first`, { metadata: { model: deployment.model } });
    if (deployment.policy.kind === "specific") {
      for (const number of deployment.policy.versions) {
        const version = await store.versions.get(`${deployment.model}/versions/${number}`);
        if (version === undefined) throw new StatusError("MODEL_VERSION_NOT_FOUND", `${deployment.model} has no version ${number}: list its versions`, { metadata: { version: String(number) } });
        if (version.state !== "READY") throw stateWrong(version);
        refuseViolations(version, deploymentViolations(model.promotionGates, version));
      }
    }
    if ((await wantedVersions(store, deployment)).length === 0) {
      const [newest] = await store.versions.list(deployment.model, { after: undefined, limit: 1, state: "READY" });
      if (newest !== undefined) refuseViolations(newest, deploymentViolations(model.promotionGates, newest));
      const what = deployment.policy.kind === "alias" ? `alias "${deployment.policy.alias}"` : deployment.policy.kind === "labels" ? `alias of ${deployment.policy.aliases.join(", ")}` : "READY version";
      throw new StatusError("STATE_WRONG", `${deployment.model} has no ${what}: finalize a version first`, { metadata: { model: deployment.model } });
    }
  }

  async #deployment(store: RegistryStore, name: string): Promise<DeploymentRecord> {
    const deployment = await store.deployments.get(name);
    if (deployment === undefined) throw new StatusError("DEPLOYMENT_NOT_FOUND", `there is no ${name}: deploy the model, or list the deployments`, { metadata: { deployment: name } });
    return deployment;
  }

  async #commit<T>(type: string, resource: string, principal: string, work: (store: RegistryStore) => Promise<T>): Promise<T> {
    const result = await this.#deps.store.transact(async (store) => {
      const done = await work(store);
      await appendEvent(store, { type, resource, principal, attributes: {}, timeMs: this.#deps.now() });
      return done;
    });
    this.#deps.changes.notify();
    return result;
  }
}

/** The name of a deployment that serves a version, or undefined. */
export async function userOf(store: RegistryStore, version: VersionRecord): Promise<string | undefined> {
  for (const deployment of await store.deployments.all()) {
    if (deployment.model === version.model && (await wantedVersions(store, deployment)).some(({ number }) => number === version.number)) return deployment.name;
  }
  return undefined;
}

/** The READY versions that a deployment's policy selects now, ascending. */
export async function wantedVersions(store: RegistryStore, { model, policy }: DeploymentRecord): Promise<VersionRecord[]> {
  switch (policy.kind) {
    case "latest":
      return newestPassing(store, model, policy.count);
    case "specific": {
      const found = await Promise.all([...new Set(policy.versions)].sort((a, b) => a - b).map((number) => store.versions.get(`${model}/versions/${number}`)));
      return found.filter((version) => version?.state === "READY") as VersionRecord[];
    }
    case "all":
      return newestPassing(store, model, VERSIONS_MAX);
    case "alias":
      return versionsAt(store, model, [policy.alias]);
    case "labels":
      return versionsAt(store, model, policy.aliases);
  }
}

/** The newest READY versions that pass the model's gates on deployments, ascending. Of very many that do not, those beyond a page are not seen. */
async function newestPassing(store: RegistryStore, model: string, count: number): Promise<VersionRecord[]> {
  const gates = (await store.models.get(model))?.promotionGates.filter(({ deployments }) => deployments) ?? [];
  const limit = gates.length === 0 ? count : VERSIONS_LOOKED_AT_MAX;
  const versions = await store.versions.list(model, { after: undefined, limit, state: "READY" });
  return versions.filter((version) => deploymentViolations(gates, version).length === 0).slice(0, count).reverse();
}

/** The versions that aliases point at, ascending; one that does not exist points nowhere. */
async function versionsAt(store: RegistryStore, model: string, aliases: readonly string[]): Promise<VersionRecord[]> {
  const { project, model: id } = parseName(MODEL, model);
  const found = await Promise.all(aliases.map((alias) => store.aliases.get(formatName(ALIAS, { project, model: id, alias }))));
  const names = new Set(found.filter((alias) => alias !== undefined).map(({ version }) => version));
  const versions = await Promise.all([...names].map((name) => store.versions.get(name)));
  return versions.filter((version) => version !== undefined).sort((a, b) => a.number - b.number);
}

function checkFields({ policy, replicaCount, servingConfigJson }: DeploymentFields): DeploymentFields {
  checkServingConfig("deployment.serving_config_json", servingConfigJson);
  if (replicaCount < 0 || replicaCount > REPLICAS_MAX) throw new StatusError("FIELD_INVALID", `deployment.replica_count must be 0 to ${REPLICAS_MAX}`, { metadata: { field: "deployment.replica_count" } });
  const count = policy.kind === "latest" ? policy.count : policy.kind === "specific" ? policy.versions.length : policy.kind === "labels" ? new Set(policy.aliases).size : 1;
  if (count < 1 || count > VERSIONS_MAX) throw new StatusError("FIELD_INVALID", `deployment.version_policy must select 1 to ${VERSIONS_MAX} versions`, { metadata: { field: "deployment.version_policy" } });
  return { policy, replicaCount: replicaCount === 0 ? 1 : replicaCount, servingConfigJson };
}
