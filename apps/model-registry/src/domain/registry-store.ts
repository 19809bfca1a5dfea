import type { AliasRecord, ArtifactRecord, DeploymentRecord, EventRecord, ModelRecord, ReplicaRecord, VersionRecord, VersionStatusRecord } from "./records.ts";

/** A page of a list: keys after `after`, at most `limit` rows. */
export interface ListOptions {
  readonly after: string | number | undefined;
  readonly limit: number;
}

/** What the domain keeps. Writes that belong together run in one `transact`; inserts of what exists raise ALREADY_EXISTS. */
export interface RegistryStore {
  /** Runs work in one transaction; it is undone when the work throws. */
  transact<T>(work: (store: RegistryStore) => Promise<T>): Promise<T>;
  readonly models: {
    insert(model: ModelRecord): Promise<void>;
    get(name: string): Promise<ModelRecord | undefined>;
    list(project: string, options: ListOptions): Promise<ModelRecord[]>;
    update(model: ModelRecord): Promise<void>;
    /** Takes the next version number, or a higher one that is wanted (0 = none); never gives one twice: then undefined. */
    takeVersionNumber(name: string, wanted: number): Promise<number | undefined>;
    delete(name: string): Promise<void>;
  };
  readonly versions: {
    insert(version: VersionRecord): Promise<void>;
    get(name: string): Promise<VersionRecord | undefined>;
    getByRequestId(model: string, requestId: string): Promise<VersionRecord | undefined>;
    /** Newest first; `after` is a version number. */
    list(model: string, options: ListOptions & { state?: "READY" }): Promise<VersionRecord[]>;
    update(version: VersionRecord): Promise<void>;
    putArtifact(version: string, artifact: ArtifactRecord): Promise<void>;
    delete(name: string): Promise<void>;
  };
  readonly aliases: {
    get(name: string): Promise<AliasRecord | undefined>;
    list(model: string, options: ListOptions): Promise<AliasRecord[]>;
    /** All aliases of all models. */
    all(): Promise<AliasRecord[]>;
    put(alias: AliasRecord): Promise<void>;
    delete(name: string): Promise<void>;
  };
  readonly deployments: {
    insert(deployment: DeploymentRecord): Promise<void>;
    get(name: string): Promise<DeploymentRecord | undefined>;
    list(project: string, options: ListOptions): Promise<DeploymentRecord[]>;
    /** All deployments of all projects. */
    all(): Promise<DeploymentRecord[]>;
    update(deployment: DeploymentRecord): Promise<void>;
    delete(name: string): Promise<void>;
  };
  readonly replicas: {
    /** Writes the lease, and the statuses when they differ; answers whether anything but the lease changed. */
    report(replica: ReplicaRecord, statuses: readonly VersionStatusRecord[]): Promise<boolean>;
    delete(replicaId: string): Promise<void>;
    /** Replicas whose lease lasts beyond `nowMs`. */
    live(nowMs: number): Promise<ReplicaRecord[]>;
    statuses(): Promise<VersionStatusRecord[]>;
  };
  readonly events: {
    /** Gives the next sequence number within the transaction, so that order of numbers is order of commits. */
    append(event: Omit<EventRecord, "sequence">): Promise<number>;
    after(project: string, sequence: number, limit: number): Promise<EventRecord[]>;
    /** What the events after a number are about, all projects. */
    resourcesAfter(sequence: number, limit: number): Promise<string[]>;
    newest(): Promise<number>;
    oldest(): Promise<number>;
    /** Forgets all but the newest `keep`. */
    compact(keep: number): Promise<void>;
  };
}
