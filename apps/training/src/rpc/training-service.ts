import { decodePageToken, pageOf, pageSizeOf } from "@servable/aip";
import { TrainingService } from "@servable/contracts/training/v1/training";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import { activeTraceparent } from "@servable/telemetry";
import type { DatasetCatalog } from "../domain/dataset-catalog.ts";
import type { DatasetSplits } from "../domain/dataset-splits.ts";
import type { JobLog } from "../domain/job-log.ts";
import type { JobQueue } from "../domain/job-queue.ts";
import { authorize } from "@servable/auth";
import { datasetMethods } from "./dataset-methods.ts";
import { eventMessage, jobMessage } from "./messages.ts";
import { specDraft } from "./spec-messages.ts";

/** servable.training.v1.TrainingService over the domain. */
export function trainingService({ datasets, splits, jobs, log }: { datasets: DatasetCatalog; splits: DatasetSplits; jobs: JobQueue; log: JobLog }): ServiceRegistration {
  return implement(TrainingService, {
    ...datasetMethods({ datasets, splits }),

    async createTrainingJob({ parent, trainingJobId, trainingJob, requestId }, { identity }) {
      const creator = authorize(identity, "developer", parent);
      if (trainingJob === undefined) throw required("training_job");
      if (trainingJob.spec === undefined) throw required("training_job.spec");
      const { dataset, model, spec } = trainingJob;
      return jobMessage(await jobs.create({ parent, jobId: trainingJobId, dataset, model, spec: specDraft(spec), requestId }, creator, activeTraceparent()));
    },
    async getTrainingJob({ name }, { identity }) {
      authorize(identity, "user", name);
      return jobMessage(await jobs.get(name));
    },
    async listTrainingJobs({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `training jobs of ${parent}`;
      const { rows, nextPageToken } = pageOf(await jobs.list(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ sequence }) => sequence);
      return { trainingJobs: rows.map(jobMessage), nextPageToken };
    },
    async cancelTrainingJob({ name }, { identity }) {
      authorize(identity, "developer", name);
      return jobMessage(await jobs.cancel(name));
    },
    pauseTrainingJob: notYet,
    resumeTrainingJob: notYet,
    estimateTrainingJob: notYet,
    listTrainingCheckpoints: notYet,
    createTuningStudy: notYet,
    getTuningStudy: notYet,
    listTuningStudies: notYet,
    cancelTuningStudy: notYet,
    pauseTuningStudy: notYet,
    resumeTuningStudy: notYet,
    listTrials: notYet,
    watchTuningStudy: notYet,
    getTuningStudyReport: notYet,
    async *watchTrainingJob({ name, afterOffset }, { identity, signal }) {
      authorize(identity, "user", name);
      const { name: job } = await jobs.get(name);
      for await (const event of log.watch(job, Number(afterOffset), signal)) yield eventMessage(event);
    },
  });
}

function required(field: string): StatusError {
  return new StatusError("FIELD_REQUIRED", `${field} is required`, { metadata: { field } });
}

function notYet(): never {
  throw new StatusError("UNIMPLEMENTED", "this service does not know the method yet");
}
