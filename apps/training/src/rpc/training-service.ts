import { decodePageToken, pageOf, pageSizeOf } from "@servable/aip";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { implement, type ServiceRegistration } from "@servable/grpc";
import { activeTraceparent } from "@servable/telemetry";
import type { DatasetCatalog } from "../domain/dataset-catalog.ts";
import type { DatasetSplits } from "../domain/dataset-splits.ts";
import type { JobLog } from "../domain/job-log.ts";
import type { CheckpointVault } from "../domain/checkpoint-vault.ts";
import type { JobDraft } from "../domain/job-draft.ts";
import type { JobEstimator } from "../domain/job-estimator.ts";
import type { JobRegistry } from "../domain/job-registry.ts";
import type { Price } from "../domain/run-record.ts";
import type { TrainingJob } from "@servable/contracts/training/v1/training_job";
import { authorize } from "@servable/auth";
import { required } from "./field-required.ts";
import { datasetMethods } from "./dataset-methods.ts";
import { eventMessage, jobMessage } from "./messages.ts";
import { checkpointMessage, estimateMessage, limitsRecord } from "./run-messages.ts";
import { specDraft } from "./spec-messages.ts";
import type { Studies } from "../domain/study/studies.ts";
import type { StudyLog } from "../domain/study/study-log.ts";
import { studyMethods } from "./study-methods.ts";

/** What the service stands on. */
export interface TrainingServiceDeps {
  readonly datasets: DatasetCatalog;
  readonly splits: DatasetSplits;
  readonly jobs: JobRegistry;
  readonly log: JobLog;
  readonly vault: CheckpointVault;
  readonly estimate: JobEstimator;
  readonly price: Price;
  readonly study: { readonly studies: Studies; readonly log: StudyLog };
}

/** servable.training.v1.TrainingService over the domain. */
export function trainingService({ datasets, splits, jobs, log, vault, estimate, price, study }: TrainingServiceDeps): ServiceRegistration {
  return implement(TrainingService, {
    ...datasetMethods({ datasets, splits }),

    async createTrainingJob({ parent, trainingJobId, trainingJob, requestId }, { identity }) {
      const creator = authorize(identity, "developer", parent);
      if (trainingJob === undefined) throw required("training_job");
      return jobMessage(await jobs.create(jobDraft(parent, trainingJobId, trainingJob, requestId), creator, activeTraceparent()), price);
    },
    async getTrainingJob({ name }, { identity }) {
      authorize(identity, "user", name);
      return jobMessage(await jobs.get(name), price);
    },
    async listTrainingJobs({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `training jobs of ${parent}`;
      const { rows, nextPageToken } = pageOf(await jobs.list(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ sequence }) => sequence);
      return { trainingJobs: rows.map((job) => jobMessage(job, price)), nextPageToken };
    },
    async cancelTrainingJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return jobMessage(await jobs.cancel(name), price);
    },
    async pauseTrainingJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return jobMessage(await jobs.pause(name), price);
    },
    async resumeTrainingJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return jobMessage(await jobs.resume(name), price);
    },
    async estimateTrainingJob({ parent, trainingJob }, { identity, signal }) {
      const creator = authorize(identity, "developer", parent);
      if (trainingJob === undefined) throw required("training_job");
      return estimateMessage(await estimate(jobDraft(parent, "", trainingJob, ""), creator, signal), price);
    },
    async listTrainingCheckpoints({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const { name } = await jobs.get(parent);
      const size = pageSizeOf(pageSize);
      const list = `checkpoints of ${parent}`;
      const after = decodePageToken(list, pageToken);
      const all = (await vault.list(name)).filter(({ step }) => after === undefined || step < Number(after));
      const { rows, nextPageToken } = pageOf(all.slice(0, size + 1), size, list, ({ step }) => step);
      return { checkpoints: rows.map(checkpointMessage), nextPageToken };
    },
    ...studyMethods(study),
    async *watchTrainingJob({ name, afterOffset }, { identity, signal }) {
      authorize(identity, "user", name);
      const { name: job } = await jobs.get(name);
      for await (const event of log.watch(job, Number(afterOffset), signal)) yield eventMessage(event, price);
    },
  });
}

/** @throws StatusError `FIELD_REQUIRED` */
function jobDraft(parent: string, jobId: string, job: TrainingJob, requestId: string): JobDraft {
  const { dataset, model, spec, priority, labels, limits, reproducedJob } = job;
  if (spec === undefined && reproducedJob === "") throw required("training_job.spec");
  return { parent, jobId, dataset, model, spec: spec === undefined ? {} : specDraft(spec), requestId, priority, labels, limits: limitsRecord(limits), reproducedJob };
}
