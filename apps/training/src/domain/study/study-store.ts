import type { ListOptions } from "../training-store.ts";
import type { StudyEventRecord, StudyRecord, TrialRecord } from "./study-records.ts";

/** What the domain keeps of studies. Everything of one study is written under its lock. */
export interface StudyStore {
  /** Gives the study the next number. @throws StatusError `ALREADY_EXISTS` */
  insert(study: Omit<StudyRecord, "sequence">): Promise<StudyRecord>;
  get(name: string): Promise<StudyRecord | undefined>;
  getByRequestId(project: string, requestId: string): Promise<StudyRecord | undefined>;
  /** Reads a study and keeps other transactions from locking it until this one ends. */
  lock(name: string): Promise<StudyRecord | undefined>;
  update(study: StudyRecord): Promise<void>;
  /** Newest first; `after` is a sequence number. */
  list(project: string, options: ListOptions): Promise<StudyRecord[]>;
  /** Names of studies that have not ended, or have trials that are not settled. */
  unfinished(): Promise<string[]>;
  /** Studies of a project that have not ended. */
  countActive(project: string): Promise<number>;
  /** A study that has not ended and uses the data set. */
  activeOn(dataset: string): Promise<StudyRecord | undefined>;
  readonly trials: {
    insert(study: string, trial: TrialRecord): Promise<void>;
    update(study: string, trial: TrialRecord): Promise<void>;
    /** By number; `after` is a number. */
    list(study: string, options: ListOptions): Promise<TrialRecord[]>;
    unsettled(study: string): Promise<TrialRecord[]>;
  };
  readonly events: {
    /** Gives the next offset of the study within the transaction; forgets all but the newest `keep`. */
    append(study: string, event: Omit<StudyEventRecord, "offset">, keep: number): Promise<number>;
    after(study: string, offset: number, limit: number): Promise<StudyEventRecord[]>;
  };
}
