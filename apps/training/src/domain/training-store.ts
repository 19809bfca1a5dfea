import type { StudyStore } from "./study/study-store.ts";
import type { DatasetRecord, JobEventRecord, JobRecord, JobState } from "./records.ts";
import type { CheckpointRecord } from "./run-record.ts";

/** A page of a list: keys after `after`, at most `limit` rows. */
export interface ListOptions {
  readonly after: string | number | undefined;
  readonly limit: number;
}

/** An attempt of a job by a service: what it writes is refused once it is no longer the one that runs. */
export interface AttemptFence {
  readonly job: string;
  /** The job's attempt count when it began. */
  readonly attempt: number;
  /** The service that runs it. */
  readonly owner: string;
}

/** What the queue's decisions need of a job. */
export interface JobClaim {
  readonly id: string;
  readonly project: string;
  readonly priority: number;
  readonly sequence: number;
  /** The service that runs it. */
  readonly owner: string | undefined;
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
    /**
     * Reads the job of a running attempt and keeps other transactions from locking it; undefined when the attempt is stale:
     * another has begun, or another service took the job.
     */
    fence(attempt: AttemptFence): Promise<JobRecord | undefined>;
    /** Gives a running job to a service until a time. */
    lease(job: string, owner: string, expiresMs: number): Promise<void>;
    /** Prolongs all leases of a service; answers the attempts that it still holds. */
    renewLeases(owner: string, expiresMs: number): Promise<AttemptFence[]>;
    /** RUNNING jobs that nobody holds any more at this time, and those of `owner` whoever holds them. */
    abandoned(nowMs: number, owner: string | undefined, limit: number): Promise<JobRecord[]>;
    /** Claims of all projects in a state: highest priority first, then oldest. */
    claims(state: "QUEUED" | "RUNNING", limit: number): Promise<JobClaim[]>;
    /** Jobs that wait although their deadline has passed. */
    overdue(nowMs: number, limit: number): Promise<JobRecord[]>;
    /** Jobs in a state, of one project or of all. */
    count(state: JobState, project?: string): Promise<number>;
    /** A job that has not ended and uses the data set. */
    activeOn(dataset: string): Promise<JobRecord | undefined>;
  };
  readonly studies: StudyStore;
  readonly events: {
    /** Gives the next offset of the job within the transaction; forgets all but the newest `keep`. */
    append(job: string, event: Omit<JobEventRecord, "offset">, keep: number): Promise<number>;
    after(job: string, offset: number, limit: number): Promise<JobEventRecord[]>;
  };
  readonly checkpoints: {
    /** Replaces that of the same step. Only inside a transaction that holds the attempt's fence. */
    insert(job: string, checkpoint: CheckpointRecord): Promise<void>;
    /** Newest first. */
    list(job: string): Promise<CheckpointRecord[]>;
    delete(job: string, step: number): Promise<void>;
    /** Whether any job has a checkpoint of this digest. */
    refersTo(sha256: string): Promise<boolean>;
    /** Checkpoints of jobs that ended before this time, with their job. */
    ofEnded(beforeMs: number, limit: number): Promise<{ readonly job: string; readonly checkpoint: CheckpointRecord }[]>;
  };
  readonly shares: {
    /** What projects used: a sum as it was at a time. */
    list(): Promise<{ readonly project: string; readonly usageMs: number; readonly atMs: number }[]>;
    /** Replaces a project's. */
    set(project: string, usageMs: number, atMs: number): Promise<void>;
  };
}
