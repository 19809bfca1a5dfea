import { randomBytes } from "node:crypto";
import { checkId, checkServedName, formatName, parseName } from "@servable/aip";
import type { Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { parseVersion } from "./dataset-catalog.ts";
import { splitOf } from "./dataset-splits.ts";
import { JOB_DEFAULTS, type DatasetRecord, type JobRecord } from "./records.ts";
import type { JobLimits } from "./run-record.ts";
import { resolveSpec, type TrainingSpecDraft } from "./training-spec.ts";

export const JOB_NAME = "projects/{project}/trainingJobs/{training_job}";

/** A job as its caller asks for it. */
export interface JobDraft {
  readonly parent: string;
  /** Empty = chosen here. */
  readonly jobId: string;
  readonly dataset: string;
  readonly model: string;
  readonly spec: TrainingSpecDraft;
  /** A UUID, or empty. */
  readonly requestId: string;
  readonly priority?: number | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly limits?: JobLimits | undefined;
  /** The job whose run is repeated; "" = none. */
  readonly reproducedJob?: string | undefined;
  /** The study of which it is a trial: it is not registered. */
  readonly tuningStudy?: string | undefined;
}

/** Bounds of what a caller may say about a job beside its specification. */
export const JOB_LIMITS = { priorityMax: 100, labelsMax: 32, labelLengthMax: 63 } as const;

/** What must be known of a draft before its data set is looked at. @throws StatusError `FIELD_INVALID`, `RESOURCE_NAME_INVALID` */
export function checkDraft(draft: JobDraft): { project: string; name: string } {
  const { project } = parseName("projects/{project}", draft.parent, "parent");
  const jobId = draft.jobId === "" ? `job-${randomBytes(5).toString("hex")}` : checkId("training_job_id", draft.jobId);
  checkReferences(draft, project);
  const { priority = 0, labels = {}, limits } = draft;
  if (Math.abs(priority) > JOB_LIMITS.priorityMax) throw invalid("priority", `is ${priority}, it must be from -${JOB_LIMITS.priorityMax} to ${JOB_LIMITS.priorityMax}`);
  if (Object.keys(labels).length > JOB_LIMITS.labelsMax) throw invalid("labels", `are ${Object.keys(labels).length}, at most ${JOB_LIMITS.labelsMax} are allowed`);
  for (const text of Object.entries(labels).flat()) {
    if (text.length > JOB_LIMITS.labelLengthMax) throw invalid("labels", `hold "${text.slice(0, 20)}…", keys and values have at most ${JOB_LIMITS.labelLengthMax} characters`);
  }
  if (limits !== undefined) {
    if (limits.runMs !== undefined && limits.runMs <= 0) throw invalid("limits.run_duration", "must be above 0");
    if (limits.memoryBytes < 0) throw invalid("limits.memory_bytes", "must not be negative");
    if (!(limits.cost >= 0)) throw invalid("limits.cost", "must not be negative");
  }
  return { project, name: formatName(JOB_NAME, { project, training_job: jobId }) };
}

/** The record of a new job. @throws StatusError what resolveSpec throws */
export function newJob(
  draft: JobDraft,
  { project, name, dataset, creator, traceparent, nowMs }: { project: string; name: string; dataset: DatasetRecord; creator: Identity; traceparent: string | undefined; nowMs: number },
): Omit<JobRecord, "sequence"> {
  return {
    ...JOB_DEFAULTS,
    name,
    project,
    dataset: dataset.name,
    datasetDigest: dataset.digest,
    model: draft.model,
    spec: specOf(draft, dataset),
    state: "QUEUED",
    failureReason: "",
    failureMessage: "",
    modelVersion: "",
    attemptCount: 0,
    lostAttemptCount: 0,
    cancelRequested: false,
    creator,
    requestId: draft.requestId,
    traceparent,
    createTimeMs: nowMs,
    priority: draft.priority ?? JOB_DEFAULTS.priority,
    labels: draft.labels ?? JOB_DEFAULTS.labels,
    limits: draft.limits ?? JOB_DEFAULTS.limits,
    reproducedJob: draft.reproducedJob ?? "",
    tuningStudy: draft.tuningStudy ?? "",
    registers: (draft.reproducedJob ?? "") === "" && (draft.tuningStudy ?? "") === "",
  };
}

function specOf(draft: JobDraft, dataset: DatasetRecord): JobRecord["spec"] {
  const spec = resolveSpec(draft.spec, dataset);
  if (spec.split !== "") splitOf(dataset, spec.split);
  return spec;
}

function checkReferences(draft: JobDraft, project: string): void {
  const references: [string, string][] = [];
  const dataset = parseVersion(draft.dataset, "training_job.dataset");
  references.push(["training_job.dataset", dataset.project]);
  if (draft.tuningStudy === undefined || draft.model !== "") {
    const model = parseName("projects/{project}/models/{model}", draft.model, "training_job.model");
    checkServedName("training_job.model", model.model);
    references.push(["training_job.model", model.project]);
  }
  const { reproducedJob = "" } = draft;
  if (reproducedJob !== "") references.push(["training_job.reproduced_job", parseName(JOB_NAME, reproducedJob, "training_job.reproduced_job").project]);
  for (const [field, other] of references) {
    if (other !== project) throw new StatusError("FIELD_INVALID", `${field} is of projects/${other}, it must be of projects/${project} as the job`, { metadata: { field } });
  }
  if (draft.requestId !== "" && !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(draft.requestId)) {
    throw new StatusError("FIELD_INVALID", `request_id="${draft.requestId.slice(0, 64)}" must be a UUID`, { metadata: { field: "request_id" } });
  }
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `training_job.${field} ${problem}`, { metadata: { field: `training_job.${field}` } });
}
