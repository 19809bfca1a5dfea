import { checkEtag, checkId, checkServedName, checkLabels, checkText, etagOf, formatName, parseName } from "@servable/aip";
import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import { aliasViolations, checkGates, refuseViolations } from "./promotion-gate.ts";
import type { AliasRecord, LineageRecord, ModelRecord, PromotionGateRecord, VersionPolicyRecord, VersionRecord } from "./records.ts";
import type { ListOptions, RegistryStore } from "./registry-store.ts";

export const MODEL = "projects/{project}/models/{model}";
export const VERSION = "projects/{project}/models/{model}/versions/{version}";
export const ALIAS = "projects/{project}/models/{model}/aliases/{alias}";

/** Events kept; a watcher that is further behind lists again. */
const EVENTS_KEPT = 100_000;
const COMPACT_EVERY = 1_000;

/** Numbers given elsewhere may be dates or times; beyond this they would not be exact. */
const VERSION_NUMBER_MAX = 2 ** 52;

/** What the catalog stands on. */
export interface CatalogDeps {
  readonly store: RegistryStore;
  readonly changes: ChangeSignal;
  readonly now: () => number;
}

/** What a caller may say of a new version. */
export interface NewVersion {
  readonly description: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly lineage: Omit<LineageRecord, "creator">;
  readonly servingConfigJson: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly requestId: string;
  /** The number that it shall get; 0 = the next. */
  readonly number: number;
}

/** Models, versions and aliases: every write is one transaction with its event. */
export class ModelCatalog {
  readonly #deps: CatalogDeps;

  constructor(deps: CatalogDeps) {
    this.#deps = deps;
  }

  /** @throws StatusError `ALREADY_EXISTS`, `FIELD_INVALID` */
  async createModel(parent: string, id: string, fields: { displayName: string; description: string; labels: Readonly<Record<string, string>>; promotionGates?: readonly PromotionGateRecord[] }, principal: string): Promise<ModelRecord> {
    const { project } = parseName("projects/{project}", parent, "parent");
    const now = this.#deps.now();
    const model: ModelRecord = {
      name: formatName(MODEL, { project, model: checkServedName("model_id", id) }),
      project,
      displayName: checkText("model.display_name", fields.displayName, 200),
      description: checkText("model.description", fields.description, 10_000),
      labels: checkLabels("model.labels", fields.labels),
      promotionGates: checkGates(fields.promotionGates ?? []),
      latestVersion: 0,
      nextVersion: 1,
      revision: 1,
      createTimeMs: now,
      updateTimeMs: now,
    };
    await this.#commit("model.created", model.name, principal, {}, (store) => store.models.insert(model));
    return model;
  }

  /** @throws StatusError `MODEL_NOT_FOUND` */
  async getModel(name: string): Promise<ModelRecord> {
    parseName(MODEL, name);
    return this.#model(this.#deps.store, name);
  }

  listModels(parent: string, options: ListOptions): Promise<ModelRecord[]> {
    return this.#deps.store.models.list(parseName("projects/{project}", parent, "parent").project, options);
  }

  /** @throws StatusError `MODEL_NOT_FOUND`, `ETAG_MISMATCH`, `FIELD_INVALID` */
  async updateModel(name: string, etag: string, change: Partial<Pick<ModelRecord, "displayName" | "description" | "labels" | "promotionGates">>, principal: string): Promise<ModelRecord> {
    return this.#commit("model.updated", name, principal, {}, async (store) => {
      const model = await this.#model(store, name);
      checkEtag(etag, etagOf(model.revision));
      const updated: ModelRecord = {
        ...model,
        displayName: checkText("model.display_name", change.displayName ?? model.displayName, 200),
        description: checkText("model.description", change.description ?? model.description, 10_000),
        labels: checkLabels("model.labels", change.labels ?? model.labels),
        promotionGates: checkGates(change.promotionGates ?? model.promotionGates),
        revision: model.revision + 1,
        updateTimeMs: this.#deps.now(),
      };
      await store.models.update(updated);
      return updated;
    });
  }

  /** @throws StatusError `MODEL_NOT_FOUND`, `RESOURCE_IN_USE`, `ETAG_MISMATCH` */
  async deleteModel(name: string, options: { force: boolean; etag: string }, principal: string): Promise<void> {
    await this.#commit("model.deleted", name, principal, {}, async (store) => {
      const model = await this.#model(store, name);
      checkEtag(options.etag, etagOf(model.revision));
      const user = (await store.deployments.all()).find((deployment) => deployment.model === name);
      if (user !== undefined) throw new StatusError("RESOURCE_IN_USE", `${user.name} serves ${name}: delete the deployment first`, { metadata: { user: user.name } });
      const [version] = await store.versions.list(name, { after: undefined, limit: 1 });
      if (version !== undefined && !options.force) throw new StatusError("RESOURCE_IN_USE", `${name} has versions: delete them first, or set force`, { metadata: { user: version.name } });
      await store.models.delete(name);
    });
  }

  /** @throws StatusError `MODEL_NOT_FOUND`, `FIELD_INVALID`, `ALREADY_EXISTS` for a number that was given, or is below one that was */
  async createVersion(parent: string, fields: NewVersion, principal: string): Promise<VersionRecord> {
    parseName(MODEL, parent, "parent");
    const known = fields.requestId === "" ? undefined : await this.#deps.store.versions.getByRequestId(parent, fields.requestId);
    if (known !== undefined) return known;
    checkServingConfig("model_version.serving_config_json", fields.servingConfigJson);
    if (!Number.isSafeInteger(fields.number) || fields.number < 0 || fields.number > VERSION_NUMBER_MAX) throw new StatusError("FIELD_INVALID", `version_number must be 0 to ${VERSION_NUMBER_MAX}`, { metadata: { field: "version_number" } });
    return this.#commit("model_version.created", (version: VersionRecord) => version.name, principal, {}, async (store) => {
      const { project, model: id } = parseName(MODEL, (await this.#model(store, parent)).name);
      const number = await store.models.takeVersionNumber(parent, fields.number);
      if (number === undefined) throw new StatusError("ALREADY_EXISTS", `version_number: ${parent} has given the number ${fields.number} or a higher one already; leave it out to get the next`, { metadata: { field: "version_number" } });
      const version: VersionRecord = {
        name: formatName(VERSION, { project, model: id, version: String(number) }),
        model: parent,
        number,
        state: "PENDING",
        digest: "",
        failureReason: "",
        failureMessage: "",
        artifacts: [],
        signature: undefined,
        lineage: { ...fields.lineage, creator: principal },
        description: checkText("model_version.description", fields.description, 10_000),
        labels: checkLabels("model_version.labels", fields.labels),
        servingConfigJson: fields.servingConfigJson,
        metrics: fields.metrics,
        requestId: fields.requestId === "" ? undefined : checkText("request_id", fields.requestId, 64),
        createTimeMs: this.#deps.now(),
        finalizeTimeMs: undefined,
      };
      await store.versions.insert(version);
      return version;
    });
  }

  /** Reads a version by number or alias. @throws StatusError `MODEL_VERSION_NOT_FOUND`, `MODEL_NOT_FOUND`, `ALIAS_NOT_FOUND` */
  async getVersion(name: string): Promise<VersionRecord> {
    const { project, model, version } = parseName(VERSION, name);
    if (/^\d+$/.test(version)) return this.#version(this.#deps.store, name);
    return this.#version(this.#deps.store, (await this.getAlias(formatName(ALIAS, { project, model, alias: version }))).version);
  }

  async listVersions(parent: string, options: ListOptions): Promise<VersionRecord[]> {
    await this.getModel(parent);
    return this.#deps.store.versions.list(parent, options);
  }

  /** @throws StatusError `MODEL_VERSION_NOT_FOUND`, `RESOURCE_IN_USE` */
  async deleteVersion(name: string, usedBy: (store: RegistryStore, version: VersionRecord) => Promise<string | undefined>, principal: string): Promise<void> {
    await this.#commit("model_version.deleted", name, principal, {}, async (store) => {
      const version = await this.#version(store, name);
      const alias = (await store.aliases.list(version.model, { after: undefined, limit: 1_000 })).find((each) => each.version === name);
      const user = alias?.name ?? (await usedBy(store, version));
      if (user !== undefined) throw new StatusError("RESOURCE_IN_USE", `${user} uses ${name}: move or delete it first`, { metadata: { user } });
      await store.versions.delete(name);
      const [newest] = await store.versions.list(version.model, { after: undefined, limit: 1, state: "READY" });
      await store.models.update({ ...(await this.#model(store, version.model)), latestVersion: newest?.number ?? 0 });
    });
  }

  /** Writes the outcome of a version's check; READY versions become the model's latest. */
  async finishVersion(version: VersionRecord, principal: string): Promise<VersionRecord> {
    const type = version.state === "READY" ? "model_version.ready" : "model_version.failed";
    return this.#commit(type, version.name, principal, version.state === "READY" ? { digest: version.digest } : { reason: version.failureReason }, async (store) => {
      const stored = await this.#version(store, version.name);
      if (stored.state !== "PENDING") throw stateWrong(stored);
      const finished = { ...version, finalizeTimeMs: this.#deps.now() };
      await store.versions.update(finished);
      const model = await this.#model(store, version.model);
      if (version.state === "READY" && version.number > model.latestVersion) await store.models.update({ ...model, latestVersion: version.number });
      return finished;
    });
  }

  /** @throws StatusError `ALIAS_NOT_FOUND` */
  async getAlias(name: string): Promise<AliasRecord> {
    parseName(ALIAS, name);
    const alias = await this.#deps.store.aliases.get(name);
    if (alias === undefined) throw new StatusError("ALIAS_NOT_FOUND", `there is no ${name}: list the model's aliases`, { metadata: { alias: name } });
    return alias;
  }

  async listAliases(parent: string, options: ListOptions): Promise<AliasRecord[]> {
    await this.getModel(parent);
    return this.#deps.store.aliases.list(parent, options);
  }

  /**
   * Compare-and-set: with `compareEtag` an empty etag means that the alias must not exist. `force` goes past promotion
   * gates; the event then holds what they said.
   *
   * @throws StatusError `MODEL_VERSION_NOT_FOUND`, `STATE_WRONG`, `ETAG_MISMATCH`, `PROMOTION_REFUSED`
   */
  async setAlias(name: string, versionName: string, guard: { etag: string; compareEtag: boolean; force?: boolean }, principal: string): Promise<AliasRecord> {
    const { project, model, alias } = parseName(ALIAS, name, "alias.name");
    checkId("alias.name", alias);
    if (/^\d+$/.test(alias)) throw new StatusError("FIELD_INVALID", `alias.name: "${alias}" would be taken for a version number; choose a word`, { metadata: { field: "alias.name" } });
    const attributes: Record<string, string> = { version: versionName };
    return this.#commit("alias.set", name, principal, attributes, async (store) => {
      const version = await this.#version(store, versionName);
      if (version.model !== formatName(MODEL, { project, model })) throw new StatusError("FIELD_INVALID", `alias.model_version must be a version of the alias's own model`, { metadata: { field: "alias.model_version" } });
      if (version.state !== "READY") throw stateWrong(version);
      const stored = await store.aliases.get(name);
      if (guard.compareEtag && guard.etag !== (stored === undefined ? "" : etagOf(stored.revision))) {
        throw new StatusError("ETAG_MISMATCH", `${name} ${stored === undefined ? "does not exist" : "was moved meanwhile"}: read it again`, { metadata: { etag: stored === undefined ? "" : etagOf(stored.revision) } });
      }
      const violations = aliasViolations((await this.#model(store, version.model)).promotionGates, alias, version, stored === undefined ? undefined : await store.versions.get(stored.version));
      if (guard.force === true && violations.length > 0) Object.assign(attributes, { forced: "true", violations: violations.join("; ").slice(0, 1_000) });
      else refuseViolations(version, violations);
      const record = { name, model: version.model, version: versionName, revision: (stored?.revision ?? 0) + 1, updateTimeMs: this.#deps.now() };
      await store.aliases.put(record);
      return record;
    });
  }

  /** @throws StatusError `ALIAS_NOT_FOUND`, `ETAG_MISMATCH`, `RESOURCE_IN_USE` */
  async deleteAlias(name: string, etag: string, principal: string): Promise<void> {
    await this.#commit("alias.deleted", name, principal, {}, async (store) => {
      const alias = await store.aliases.get(name);
      if (alias === undefined) throw new StatusError("ALIAS_NOT_FOUND", `there is no ${name}`, { metadata: { alias: name } });
      checkEtag(etag, etagOf(alias.revision));
      const user = (await store.deployments.all()).find(({ model, policy }) => model === alias.model && followsAlias(policy, name.split("/").at(-1) ?? ""));
      if (user !== undefined) throw new StatusError("RESOURCE_IN_USE", `${user.name} follows ${name}: change the deployment first`, { metadata: { user: user.name } });
      await store.aliases.delete(name);
    });
  }

  async #model(store: RegistryStore, name: string): Promise<ModelRecord> {
    const model = await store.models.get(name);
    if (model === undefined) throw new StatusError("MODEL_NOT_FOUND", `there is no ${name}: import or train it first, or list the models`, { metadata: { model: name } });
    return model;
  }

  async #version(store: RegistryStore, name: string): Promise<VersionRecord> {
    const version = await store.versions.get(name);
    if (version === undefined) throw new StatusError("MODEL_VERSION_NOT_FOUND", `there is no ${name}: list the model's versions`, { metadata: { version: name } });
    return version;
  }

  async #commit<T>(type: string, resource: string | ((result: T) => string), principal: string, attributes: Readonly<Record<string, string>>, work: (store: RegistryStore) => Promise<T>): Promise<T> {
    const result = await this.#deps.store.transact(async (store) => {
      const done = await work(store);
      await appendEvent(store, { type, resource: typeof resource === "string" ? resource : resource(done), principal, attributes, timeMs: this.#deps.now() });
      return done;
    });
    this.#deps.changes.notify();
    return result;
  }
}

/** Appends an event of a resource, and forgets the oldest now and then. */
export async function appendEvent(store: RegistryStore, event: { type: string; resource: string; principal: string; attributes: Readonly<Record<string, string>>; timeMs: number }): Promise<void> {
  const sequence = await store.events.append({ ...event, project: event.resource.split("/")[1] ?? "" });
  if (sequence % COMPACT_EVERY === 0) await store.events.compact(EVENTS_KEPT);
}

/** @throws StatusError `FIELD_INVALID` when the text is no JSON object */
export function checkServingConfig(field: string, text: string): void {
  if (text === "") return;
  checkText(field, text, 100_000);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  } catch {
    // Said below in words that name the field.
  }
  throw new StatusError("FIELD_INVALID", `${field} must be a JSON object in the form of the protocol's ModelConfig`, { metadata: { field } });
}

/** Whether moving the alias changes what a policy selects. */
function followsAlias(policy: VersionPolicyRecord, alias: string): boolean {
  return policy.kind === "alias" ? policy.alias === alias : policy.kind === "labels" && policy.aliases.includes(alias);
}

/** The error of a version that is in another state than the call needs. */
export function stateWrong(version: VersionRecord): StatusError {
  return new StatusError("STATE_WRONG", `${version.name} is ${version.state}${version.state === "FAILED" ? ` (${version.failureMessage})` : ""}: ${version.state === "PENDING" ? "finalize it first" : "create a new version"}`, { metadata: { state: version.state } });
}
