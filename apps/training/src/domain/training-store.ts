import type { DatasetRecord, JobEventRecord, JobRecord } from "./records.ts";

/** A page of a list: keys after `after`, at most `limit` rows. */
export interface ListOptions {
  readonly after: string | number | undefined;
  readonly limit: number;
}

/** What the domain keeps. Writes that belong together run in one `transact`; inserts of what exists raise ALREADY_EXISTS. */
export interface TrainingStore {
  /** Runs work in one transaction; it is undone when the work throws. */
  transact<T>(work: (store: TrainingStore) => Promise<T>): Promise<T>;
  readonly datasets: {
    /** Inserts a new data set with its first version. */
    insert(dataset: DatasetRecord): Promise<void>;
    /** Makes a further version the newest one. */
    addVersion(dataset: DatasetRecord): Promise<void>;
    /** Replaces what is kept of a version: its description, its splits. */
    updateVersion(dataset: DatasetRecord): Promise<void>;
    /** The newest version. */
    get(name: string): Promise<DatasetRecord | undefined>;
    version(name: string, version: number): Promise<DatasetRecord | undefined>;
    /** The newest version of a digest. */
    pinned(name: string, digest: string): Promise<DatasetRecord | undefined>;
    /** Newest first; `after` is a version. */
    versions(name: string, options: ListOptions): Promise<DatasetRecord[]>;
    /** Reads the newest version and keeps other transactions from locking the data set until this one ends. */
    lock(name: string): Promise<DatasetRecord | undefined>;
    /** The newest versions by name; `after` is a name. */
    list(project: string, options: ListOptions): Promise<DatasetRecord[]>;
    /** Deletes all versions. */
    delete(name: string): Promise<void>;
    /** Digests of all files and splits of all versions. */
    blobsOf(name: string): Promise<string[]>;
    /** Whether any data set has a file or a split of this digest. */
    refersTo(sha256: string): Promise<boolean>;
  };
  readonly jobs: {
    /** Gives the job the next number in the queue's order. */
    insert(job: Omit<JobRecord, "sequence">): Promise<JobRecord>;
    get(name: string): Promise<JobRecord | undefined>;
    getByRequestId(project: string, requestId: string): Promise<JobRecord | undefined>;
    /** Reads a job and keeps other transactions from locking it until this one ends. */
    lock(name: string): Promise<JobRecord | undefined>;
    update(job: JobRecord): Promise<void>;
    /** Newest first; `after` is a sequence number. */
    list(project: string, options: ListOptions): Promise<JobRecord[]>;
    /** Jobs of all projects in a state, oldest first. */
    inState(state: "QUEUED" | "RUNNING", limit: number): Promise<JobRecord[]>;
    countQueued(): Promise<number>;
    /** A job that has not ended and uses the data set. */
    activeOn(dataset: string): Promise<JobRecord | undefined>;
  };
  readonly events: {
    /** Gives the next offset of the job within the transaction; forgets all but the newest `keep`. */
    append(job: string, event: Omit<JobEventRecord, "offset">, keep: number): Promise<number>;
    after(job: string, offset: number, limit: number): Promise<JobEventRecord[]>;
  };
}
