// What a running trial becomes when its newest job has said something: a pure function, so that a service that was killed
// and one that was not come to the same end.

import type { Direction, Pruner } from "@servable/tuning";
import { foldTotal } from "../cross-validation.ts";
import type { JobEventRecord, JobRecord } from "../records.ts";
import { objectiveOf, reportedObjective } from "./objective-value.ts";
import { asTrial } from "./study-algorithms.ts";
import type { StudyRecord, TrialRecord } from "./study-records.ts";

/** Reports of one trial that are kept; later ones are not judged. */
const REPORTS_MAX = 1_000;

/** What is known of a trial's newest job. */
export interface TrialNews {
  readonly job: JobRecord;
  /** Its events after the trial's `seenOffset`. */
  readonly events: readonly JobEventRecord[];
  /** The study's other trials, for the pruner. */
  readonly others: readonly TrialRecord[];
  readonly nowMs: number;
}

type Judge = Pick<StudyRecord, "metric" | "crossValidation" | "trialSilenceMs" | "direction">;

/** The trial after its news; the same one when there is none. A trial that has ended by itself is settled, one that was ended is not. */
export function advanceTrial(study: Judge, pruner: Pruner, trial: TrialRecord, news: TrialNews): TrialRecord {
  const heard = withEvents(study, trial, news);
  if (study.crossValidation === undefined && heard.reports.length > trial.reports.length) {
    // One after the other, as if each had been seen alone: what a pruner decides must not depend on when somebody looked.
    for (let count = trial.reports.length + 1; count <= heard.reports.length; count++) {
      const seen = { ...heard, reports: heard.reports.slice(0, count) };
      if (isGivenUp(study.direction, pruner, seen, news.others)) return ended(seen, "PRUNED", news, {});
    }
  }
  const { job, nowMs } = news;
  switch (job.state) {
    case "SUCCEEDED":
      return withResult(study, pruner, heard, news);
    case "FAILED":
      return failed(heard, news, job.failureReason, job.failureMessage, true);
    case "CANCELLED":
      return failed(heard, news, "TRIAL_CANCELLED", `its job ${job.name} was cancelled`, true);
    case "RUNNING": {
      const heardMs = Math.max(heard.heardMs, job.startTimeMs ?? 0);
      if (nowMs - heardMs < study.trialSilenceMs) return heard;
      return failed(heard, news, "TRIAL_SILENT", `its job reported nothing for ${Math.round((nowMs - heardMs) / 100) / 10} s (trial_silence_duration): it hangs, or its epochs take longer than that`, false);
    }
    default:
      return heard;
  }
}

function withEvents({ metric, crossValidation }: Judge, trial: TrialRecord, { events }: TrialNews): TrialRecord {
  let { reports, heardMs, seenOffset } = trial;
  for (const { offset, timeMs, event } of events) {
    seenOffset = offset;
    heardMs = Math.max(heardMs, timeMs);
    if (event.kind !== "progress" || crossValidation !== undefined || reports.length >= REPORTS_MAX) continue;
    const value = reportedObjective(event.progress, metric);
    const last = reports.at(-1);
    const step = event.progress.evaluationCount ?? (value === last?.value ? (last?.step ?? 0) : (last?.step ?? 0) + 1);
    if (value !== undefined && step > (last?.step ?? 0)) reports = [...reports, { step, value }];
  }
  return seenOffset === trial.seenOffset ? trial : { ...trial, reports, heardMs, seenOffset };
}

function withResult(study: Judge, pruner: Pruner, trial: TrialRecord, news: TrialNews): TrialRecord {
  const value = objectiveOf(news.job.evaluation, study.metric);
  if (value === undefined && Object.hasOwn(news.job.evaluation?.metrics ?? {}, study.metric) === false) {
    const known = Object.keys(news.job.evaluation?.metrics ?? {}).join(", ");
    return failed(trial, news, "METRIC_UNKNOWN", `its evaluation has no "${study.metric}"${known === "" ? "" : `: it has ${known}`}`, true);
  }
  // A NaN is stored as null.
  if (value === undefined || !Number.isFinite(value)) return failed(trial, news, "METRIC_NOT_FINITE", `its ${study.metric} is ${value ?? NaN}`, true);
  if (study.crossValidation === undefined) return ended({ ...trial, objective: value }, "COMPLETE", news, {});
  const foldObjectives = [...trial.foldObjectives, value];
  const mean = foldObjectives.reduce((sum, each) => sum + each, 0) / foldObjectives.length;
  const after: TrialRecord = { ...trial, foldObjectives, reports: [...trial.reports, { step: foldObjectives.length, value: mean }] };
  if (foldObjectives.length === foldTotal(study.crossValidation)) return ended({ ...after, objective: mean }, "COMPLETE", news, {});
  return isGivenUp(study.direction, pruner, after, news.others) ? { ...ended(after, "PRUNED", news, {}), settled: true } : after;
}

function isGivenUp(direction: Direction, pruner: Pruner, trial: TrialRecord, others: readonly TrialRecord[]): boolean {
  const seen = asTrial(trial);
  return pruner({ direction, trial: seen, trials: [...others.filter(({ number }) => number !== trial.number).map(asTrial), seen].sort((a, b) => a.number - b.number) });
}

function failed(trial: TrialRecord, news: TrialNews, failureReason: string, failureMessage: string, settled: boolean): TrialRecord {
  return { ...ended(trial, "FAILED", news, { failureReason, failureMessage }), settled };
}

function ended(trial: TrialRecord, state: TrialRecord["state"], { nowMs }: TrialNews, changes: Partial<TrialRecord>): TrialRecord {
  return { ...trial, ...changes, state, settled: state === "COMPLETE", endTimeMs: nowMs };
}
