// Leads one study: begins trials, follows their jobs, ends what is to be ended, trains the final model.
//
// I1  What decides is in the store before anything follows from it: a trial is stored before its job is asked for, and a
//     job's name follows from its trial's. Whoever takes the study up after a kill finds what was begun and goes on.
// I2  A trial's settings follow from the trials before it and the seed alone.
// I3  A trial that has ended is left alone, except that its job is cancelled until the trial is settled.

import { StatusError } from "@servable/errors";
import type { ChangeSignal } from "@servable/storage";
import { searchSpace, type Assignment } from "@servable/tuning";
import type { JobDraft } from "../job-draft.ts";
import type { JobRecord } from "../records.ts";
import { hasEnded } from "../training-job.ts";
import type { TrainingStore } from "../training-store.ts";
import { advanceTrial } from "./advance-trial.ts";
import { foldTotal } from "../cross-validation.ts";
import { withValues } from "./spec-paths.ts";
import { asTrial, prunerOf, samplerOf } from "./study-algorithms.ts";
import type { StudyLog } from "./study-log.ts";
import { studyHasEnded, type StudyRecord, type TrialRecord } from "./study-records.ts";
import type { TrialJobs } from "./trial-jobs.ts";

/** How often a study is looked at although nothing was reported: silence is seen this way. */
const LOOK_EVERY_MS = 1_000;
/** Events of a job that are taken in at once. */
const EVENTS_BATCH = 1_000;
/** So many failures without one success end a study: its settings cannot be trained. */
export const FAILURES_FIRST_MAX = 10;

/** What a driver stands on. */
export interface StudyDriverDeps {
  readonly store: TrainingStore;
  readonly log: StudyLog;
  readonly changes: ChangeSignal;
  readonly jobs: TrialJobs;
  readonly observer: StudyObserver;
  readonly now: () => number;
}

/** What happens to studies, for metrics and log. */
export interface StudyObserver {
  studyEnded(study: StudyRecord): void;
  trialEnded(study: StudyRecord, trial: TrialRecord): void;
  unexpected(event: string, study: string, error: unknown): void;
}

/** Leads a study until it has ended and all its trials are settled, or the signal aborts. */
export async function driveStudy(deps: StudyDriverDeps, name: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const changed = deps.changes.next(LOOK_EVERY_MS, signal);
    try {
      if (await lookAt(deps, name)) return;
    } catch (error) {
      // A database that is away comes back; until then nothing is lost, since nothing was begun that is not stored.
      deps.observer.unexpected("study_not_led", name, error);
    }
    await changed;
  }
}

/** One look; answers whether nothing is left to be done. */
async function lookAt(deps: StudyDriverDeps, name: string): Promise<boolean> {
  const study = await deps.store.studies.get(name);
  if (study === undefined) return true;
  for (const trial of await deps.store.studies.trials.unsettled(name)) {
    if (trial.state === "RUNNING" && !studyHasEnded(study)) await follow(deps, study, trial);
    else await stopTrial(deps, study, trial);
  }
  if (studyHasEnded(study)) return (await deps.store.studies.trials.unsettled(name)).length === 0;
  if (study.state === "FINISHING") await finish(deps, study);
  else if (study.state === "RUNNING") await beginOrEnd(deps, study);
  return false;
}

/** Takes in what a trial's newest job has said. */
async function follow({ store, log, jobs, observer, now }: StudyDriverDeps, study: StudyRecord, trial: TrialRecord): Promise<void> {
  const name = trial.jobs.at(-1) as string;
  const job = await ensureJob({ store, jobs }, study, name, trialDraft(study, trial));
  if (job === undefined) return;
  if (job instanceof StatusError) return endTrial(log, observer, study.name, trial.number, { state: "FAILED", settled: true, failureReason: job.reason, failureMessage: job.message, endTimeMs: now() });
  if (job.datasetDigest !== study.datasetDigest) {
    // Trials over different rows cannot be compared.
    const failureMessage = `${study.dataset} has another version than when the study began: create another study`;
    return endTrial(log, observer, study.name, trial.number, { state: "FAILED", failureReason: "DATASET_CHANGED", failureMessage, endTimeMs: now() });
  }
  const events = await store.events.after(name, trial.seenOffset, EVENTS_BATCH);
  // Most looks find nothing: jobs of others wake this one, too, and nothing is to be written for them.
  if (events.length === 0 && !hasEnded(job) && now() - Math.max(trial.heardMs, job.startTimeMs ?? 0) < study.trialSilenceMs) return;
  // A job read before its events may have ended meanwhile: what was read first decides, the next look sees the rest.
  await log.edit(study.name, async ({ study: current, trials, updateTrial, become }) => {
    const all = await trials();
    const before = all.find(({ number }) => number === trial.number);
    if (before?.state !== "RUNNING" || before.seenOffset !== trial.seenOffset || before.jobs.length !== trial.jobs.length) return;
    const seen = events.length === EVENTS_BATCH ? { ...job, state: "RUNNING" as const } : job;
    let after = advanceTrial(current, prunerOf(current), before, { job: seen, events, others: all, nowMs: now() });
    if (after === before) return;
    if (after.state === "RUNNING" && after.foldObjectives.length > before.foldObjectives.length) after = { ...after, jobs: [...after.jobs, jobName(current, after.number, after.jobs.length)], seenOffset: 0, heardMs: now() };
    await updateTrial(after, after.state === "RUNNING" && after.reports.length === before.reports.length);
    if (after.state === "RUNNING") return;
    observer.trialEnded(current, after);
    await become(current.state);
  });
}

/** Begins as many trials as may run, or ends the study when there are none left. */
async function beginOrEnd({ log, observer, now }: StudyDriverDeps, { name }: StudyRecord): Promise<void> {
  await log.edit(name, async ({ study, trials, insertTrial, updateTrial, become }) => {
    if (study.state !== "RUNNING") return;
    const all = await trials();
    const nowMs = now();
    const overTime = study.timeBudgetMs !== undefined && nowMs - study.createTimeMs >= study.timeBudgetMs;
    let running = all.filter(({ state }) => state === "RUNNING").length;
    let exhausted = overTime;
    const begun = [...all];
    while (!exhausted && running < study.parallelTrialCount && begun.length < study.maxTrialCount && !isFailing(begun, study.maxTrialCount)) {
      const number = begun.length;
      const values = samplerOf(study.sampler)({ space: searchSpace(study.parameters), direction: study.direction, trials: begun.map(asTrial), number, seed: study.seed });
      if (values === undefined) {
        exhausted = true;
        break;
      }
      const trial = newTrial(study, number, values, nowMs);
      await insertTrial(trial);
      begun.push(trial);
      running++;
    }
    if (overTime) {
      for (const trial of begun.filter(({ state }) => state === "RUNNING")) {
        await updateTrial({ ...trial, state: "CANCELLED", settled: false, failureReason: "TIME_BUDGET_SPENT", failureMessage: "the study's time_budget was over", endTimeMs: nowMs });
        running--;
      }
    }
    if (running === 0 && (exhausted || begun.length >= study.maxTrialCount || isFailing(begun, study.maxTrialCount))) {
      const after = await become(...endOf(study, begun, nowMs));
      if (studyHasEnded(after)) observer.studyEnded(after);
    } else if (begun.length > all.length) await become("RUNNING");
  });
}

/** Whether the first trials all failed, so that the others would too. */
function isFailing(trials: readonly TrialRecord[], maxTrialCount: number): boolean {
  const ended = trials.filter(({ state }) => state !== "RUNNING");
  return ended.length >= Math.min(FAILURES_FIRST_MAX, maxTrialCount) && ended.every(({ state }) => state === "FAILED");
}

function endOf(study: StudyRecord, trials: readonly TrialRecord[], nowMs: number): [StudyRecord["state"], Partial<StudyRecord>] {
  if (!trials.some(({ state }) => state === "COMPLETE")) {
    const last = trials.findLast(({ state }) => state === "FAILED");
    const why = last === undefined ? "none came to its end" : `trial ${last.number} says: ${last.failureMessage} (${last.failureReason})`;
    return ["FAILED", { failureReason: "NO_TRIAL_SUCCEEDED", failureMessage: `none of ${trials.length} trials has an objective; ${why}`, endTimeMs: nowMs }];
  }
  if (study.finalModel === "none") return ["SUCCEEDED", { endTimeMs: nowMs }];
  return ["FINISHING", { finalJob: `projects/${study.project}/trainingJobs/${idOf(study)}-best` }];
}

/** Follows the job that trains the best settings for the registry. */
async function finish({ store, log, jobs, observer, now }: StudyDriverDeps, study: StudyRecord): Promise<void> {
  const job = await ensureJob({ store, jobs }, study, study.finalJob, finalDraft(study));
  if (job === undefined || (!(job instanceof StatusError) && !hasEnded(job))) return;
  await log.edit(study.name, async ({ study: current, become }) => {
    if (current.state !== "FINISHING") return;
    const after =
      !(job instanceof StatusError) && job.state === "SUCCEEDED"
        ? await become("SUCCEEDED", { modelVersion: job.modelVersion, endTimeMs: now() })
        : await become("FAILED", {
            failureReason: "FINAL_MODEL_FAILED",
            failureMessage: `the best settings are found and stand, their last training failed: ${job instanceof StatusError ? job.message : job.failureMessage || `its job was ${job.state}`}`,
            endTimeMs: now(),
          });
    observer.studyEnded(after);
  });
}

/** The job of a name, asked for when there is none; undefined = later, an error = never. */
async function ensureJob({ store, jobs }: Pick<StudyDriverDeps, "store" | "jobs">, study: StudyRecord, name: string, draft: Omit<JobDraft, "jobId">): Promise<JobRecord | StatusError | undefined> {
  const known = await store.jobs.get(name);
  const wanted = draft.tuningStudy ?? "";
  const foreign = new StatusError("ALREADY_EXISTS", `${name} is there and is no job of this study: choose another tuning_study_id`);
  if (known !== undefined) return known.tuningStudy === wanted && known.model === draft.model ? known : foreign;
  try {
    return await jobs.create({ ...draft, jobId: name.slice(name.lastIndexOf("/") + 1) }, study.creator, study.traceparent);
  } catch (error) {
    const failure = StatusError.from(error);
    if (failure.reason === "INTERNAL") throw error;
    // A full queue or quota: there will be room, and the next look asks again.
    return failure.retryable || failure.code === "RESOURCE_EXHAUSTED" ? undefined : ((await store.jobs.get(name)) ?? failure);
  }
}

/** Cancels the jobs of a trial that was ended, and settles it. */
async function stopTrial({ store, log, jobs, now }: StudyDriverDeps, study: StudyRecord, trial: TrialRecord): Promise<void> {
  for (const name of trial.jobs) {
    const job = await store.jobs.get(name);
    if (job === undefined || hasEnded(job)) continue;
    await jobs.cancel(name).catch((error: unknown) => {
      // It has ended between the two calls.
      if (StatusError.from(error).reason !== "STATE_WRONG") throw error;
    });
  }
  await log.edit(study.name, async ({ trials, updateTrial }) => {
    const current = (await trials()).find(({ number }) => number === trial.number);
    if (current === undefined || current.settled) return;
    await updateTrial({ ...current, settled: true, ...(current.state === "RUNNING" ? { state: "CANCELLED", endTimeMs: now() } : {}) }, current.state !== "RUNNING");
  });
}

async function endTrial(log: StudyLog, observer: StudyObserver, study: string, number: number, changes: Partial<TrialRecord>): Promise<void> {
  await log.edit(study, async ({ study: current, trials, updateTrial, become }) => {
    const trial = (await trials()).find((each) => each.number === number);
    if (trial?.state !== "RUNNING") return;
    const after = { ...trial, ...changes };
    await updateTrial(after);
    observer.trialEnded(current, after);
    await become(current.state);
  });
}

function newTrial(study: StudyRecord, number: number, values: Assignment, nowMs: number): TrialRecord {
  return { number, state: "RUNNING", values, reports: [], foldObjectives: [], jobs: [jobName(study, number, 0)], seenOffset: 0, heardMs: 0, settled: false, failureReason: "", failureMessage: "", createTimeMs: nowMs };
}

function trialDraft(study: StudyRecord, { values, jobs }: TrialRecord): Omit<JobDraft, "jobId"> {
  const spec = withValues(study.spec, values);
  const fold = study.crossValidation === undefined ? {} : { fold: { crossValidation: study.crossValidation, index: jobs.length - 1, seed: study.seed } };
  return { ...jobDraft(study), spec: { ...spec, ...fold }, tuningStudy: study.name, ...(study.trialLimits === undefined ? {} : { limits: study.trialLimits }) };
}

function finalDraft(study: StudyRecord): Omit<JobDraft, "jobId"> {
  const spec = withValues(study.spec, study.bestTrial?.values ?? {});
  return { ...jobDraft(study), spec: study.finalModel === "all_rows" ? { ...spec, validationFraction: 0, split: "", earlyStopping: undefined } : spec };
}

function jobDraft(study: StudyRecord): Omit<JobDraft, "jobId" | "spec"> {
  return { parent: `projects/${study.project}`, dataset: study.dataset, model: study.model, requestId: "", priority: study.priority, labels: { ...study.labels, tuning_study: idOf(study) } };
}

/** Follows from study, trial and fold, so that whoever asks twice asks for the same job. */
function jobName(study: StudyRecord, number: number, fold: number): string {
  return `projects/${study.project}/trainingJobs/${idOf(study)}-${number}${study.crossValidation === undefined || foldTotal(study.crossValidation) === 1 ? "" : `-${fold}`}`;
}

function idOf({ name }: Pick<StudyRecord, "name">): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
