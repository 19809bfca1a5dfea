import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import { bestTrial, parameterImportance, searchSpace } from "@servable/tuning";
import type { TrainingStore } from "../training-store.ts";
import { asTrial } from "./study-algorithms.ts";
import { mayBecome, studyHasEnded, type StudyEventRecord, type StudyRecord, type StudyState, type TrialRecord } from "./study-records.ts";
import type { StudyStore } from "./study-store.ts";

const BATCH = 200;
/** How often a watcher looks although nobody called: a notice may have been given before it listened. */
const LOOK_EVERY_MS = 1_000;
/** The newest events of a study that are kept. */
const EVENTS_KEPT_MAX = 20_000;
/** Trials of one study, all read at once. */
export const TRIALS_MAX = 10_000;

/** What the log stands on. */
export interface StudyLogDeps {
  readonly store: TrainingStore;
  readonly changes: ChangeSignal;
  readonly now: () => number;
}

/** What may be written of a study inside one transaction. */
export interface StudyEdit {
  readonly study: StudyRecord;
  readonly trials: () => Promise<TrialRecord[]>;
  readonly insertTrial: (trial: TrialRecord) => Promise<void>;
  /** Stores a trial; `quiet` without an event. */
  readonly updateTrial: (trial: TrialRecord, quiet?: boolean) => Promise<void>;
  /** Stores the study, its counts and its best trial anew. @throws StatusError `STATE_WRONG` */
  readonly become: (state: StudyState, changes?: Partial<StudyRecord>) => Promise<StudyRecord>;
}

/** The only writer of studies and trials: each change is stored together with its event, under the study's lock. */
export class StudyLog {
  readonly #deps: StudyLogDeps;

  constructor(deps: StudyLogDeps) {
    this.#deps = deps;
  }

  /** Inserts a study with its first event, inside the caller's transaction; call {@link announce} after the commit. */
  async insert(store: TrainingStore, draft: Omit<StudyRecord, "sequence">): Promise<StudyRecord> {
    const study = await store.studies.insert(draft);
    await this.#append(store.studies, study.name, { kind: "study", study });
    return study;
  }

  /** Wakes watchers of what the caller committed. */
  announce(): void {
    this.#deps.changes.notify();
  }

  /** Changes a study under its lock. @throws StatusError `TUNING_STUDY_NOT_FOUND`, and what the work throws */
  async edit<T>(name: string, work: (edit: StudyEdit) => Promise<T>): Promise<T> {
    let written = false;
    const result = await this.#deps.store.transact(async ({ studies }) => {
      const study = await studies.lock(name);
      if (study === undefined) throw studyNotFound(name);
      const trials = (): Promise<TrialRecord[]> => studies.trials.list(name, { after: undefined, limit: TRIALS_MAX });
      return work({
        study,
        trials,
        insertTrial: async (trial) => {
          written = true;
          await studies.trials.insert(name, trial);
          await this.#append(studies, name, { kind: "trial", trial });
        },
        updateTrial: async (trial, quiet = false) => {
          written = true;
          await studies.trials.update(name, trial);
          if (!quiet) await this.#append(studies, name, { kind: "trial", trial });
        },
        become: async (state, changes = {}) => {
          if (state !== study.state && !mayBecome(study.state, state)) {
            throw new StatusError("STATE_WRONG", `${name} is ${study.state} and cannot become ${state}${studyHasEnded(study) ? ": it has ended, create another study" : ""}`, { metadata: { state: study.state } });
          }
          written = true;
          const after: StudyRecord = { ...study, ...changes, ...summaryOf(study, await trials()), state };
          await studies.update(after);
          if (after.state !== study.state || after.bestTrial?.number !== study.bestTrial?.number || after.finalJob !== study.finalJob) await this.#append(studies, name, { kind: "study", study: after });
          return after;
        },
      });
    });
    // Whoever looks and finds nothing to do must not wake itself.
    if (written) this.announce();
    return result;
  }

  /**
   * Yields the events after an offset, then what comes; ends after the event by which the study ended. Where older events
   * are no longer kept it begins with the oldest that is.
   *
   * @throws StatusError `TUNING_STUDY_NOT_FOUND`, `FIELD_INVALID`
   */
  async *watch(name: string, afterOffset: number, signal: AbortSignal): AsyncGenerator<StudyEventRecord> {
    if (afterOffset < 0) throw new StatusError("FIELD_INVALID", `after_offset must not be negative, got ${afterOffset}`, { metadata: { field: "after_offset" } });
    const { studies } = this.#deps.store;
    let last = afterOffset;
    while (!signal.aborted) {
      const changed = this.#deps.changes.next(LOOK_EVERY_MS, signal);
      // Read before the events: an end that is seen here has its event in what is read next.
      const study = await studies.get(name);
      if (study === undefined) throw studyNotFound(name);
      const events = await studies.events.after(name, last, BATCH);
      for (const event of events) {
        last = event.offset;
        yield event;
      }
      if (events.length === BATCH) continue;
      if (studyHasEnded(study)) return;
      await changed;
    }
  }

  async #append(studies: StudyStore, name: string, event: StudyEventRecord["event"]): Promise<void> {
    await studies.events.append(name, { timeMs: this.#deps.now(), event }, EVENTS_KEPT_MAX);
  }
}

/** Counts, best trial and importances of the trials as they are. */
function summaryOf(study: StudyRecord, trials: readonly TrialRecord[]): Pick<StudyRecord, "counts" | "bestTrial" | "importances"> {
  const counts = { RUNNING: 0, COMPLETE: 0, PRUNED: 0, FAILED: 0, CANCELLED: 0 };
  for (const { state } of trials) counts[state]++;
  const seen = trials.map(asTrial);
  const best = bestTrial(seen, study.direction);
  return {
    counts,
    bestTrial: trials.find(({ number }) => number === best?.number),
    importances: counts.COMPLETE < 2 ? [] : parameterImportance(searchSpace(study.parameters), seen, study.direction),
  };
}

/** There is no such study. */
export function studyNotFound(name: string): StatusError {
  return new StatusError("TUNING_STUDY_NOT_FOUND", `there is no tuning study ${name}: list them with \`servable studies list\``, { metadata: { tuning_study: name } });
}
