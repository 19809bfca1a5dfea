// What people read of a result is stored beside it: the page and the card belong to the version, and are there when the
// training service and its data set are gone.

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderModelCard, renderReport, type LearningPoint, type ReportInput } from "@servable/evaluation";
import type { ResultFile } from "./job-executor.ts";
import type { EvaluationRecord, JobEventRecord, JobRecord } from "./records.ts";

/** Path of the evaluation's page inside a version. */
export const REPORT_FILE = "report.html";
/** Path of the model card inside a version. */
export const MODEL_CARD_FILE = "MODEL_CARD.md";
/** Pieces in which a job's log is read. */
const EVENTS_BATCH = 1_000;

/** What the documents are made from. */
export interface JobDocumentsInput {
  readonly job: JobRecord;
  readonly evaluation: EvaluationRecord;
  /** How the result was made, any depth; shown as it is. */
  readonly runRecord?: object | undefined;
  /** The job's log. */
  readonly events: { after(job: string, offset: number, limit: number): Promise<readonly JobEventRecord[]> };
  /** Where they are written. */
  readonly folder: string;
}

/** Writes page and card of a job's result. */
export async function writeJobDocuments({ job, evaluation, runRecord, events, folder }: JobDocumentsInput): Promise<ResultFile[]> {
  const input = reportInput(job, evaluation, runRecord, await historyOf(events, job.name));
  return Promise.all(
    [[REPORT_FILE, renderReport(input)] as const, [MODEL_CARD_FILE, renderModelCard(input)] as const].map(async ([path, text]) => {
      const file = join(folder, path);
      await writeFile(file, text);
      return { path, file, sha256: createHash("sha256").update(text).digest("hex") };
    }),
  );
}

function reportInput(job: JobRecord, evaluation: EvaluationRecord, runRecord: object | undefined, history: readonly LearningPoint[]): ReportInput {
  return {
    title: job.model,
    evaluation,
    history,
    data: { "data set": job.dataset, digest: job.datasetDigest, ...(job.spec.targetColumn === "" ? {} : { "target column": job.spec.targetColumn }), ...(job.spec.positiveClass === "" ? {} : { "positive class": job.spec.positiveClass }) },
    run: { job: job.name, creator: job.creator.principal, ...flat("", runRecord ?? {}), ...flat("setting ", job.spec) },
  };
}

/** Nested values under names with dots; what is empty is left out. */
function flat(prefix: string, values: object): Record<string, string> {
  const lines: Record<string, string> = {};
  for (const [name, value] of Object.entries(values) as [string, unknown][]) {
    if (value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)) continue;
    if (typeof value === "object" && !Array.isArray(value)) Object.assign(lines, flat(`${prefix}${name}.`, value));
    else lines[`${prefix}${name}`] = typeof value === "string" ? value : JSON.stringify(value);
  }
  return lines;
}

async function historyOf(events: JobDocumentsInput["events"], job: string): Promise<LearningPoint[]> {
  const points = new Map<number, LearningPoint>();
  for (let offset = 0; ; ) {
    const batch = await events.after(job, offset, EVENTS_BATCH);
    for (const { event } of batch) {
      if (event.kind !== "progress") continue;
      const { step, loss, validationLoss, validationAccuracy } = event.progress;
      // A job that went on from a checkpoint tells some steps twice: the later word counts.
      points.set(step, { step, loss, validationLoss, validationAccuracy });
    }
    const last = batch.at(-1);
    if (last === undefined || batch.length < EVENTS_BATCH) return [...points.values()].sort((a, b) => a.step - b.step);
    offset = last.offset;
  }
}
