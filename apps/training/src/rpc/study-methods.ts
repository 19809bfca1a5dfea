import { decodePageToken, pageOf, pageSizeOf } from "@servable/aip";
import { authorize } from "@servable/auth";
import type { TrainingService } from "@servable/contracts/training/v1/training";
import type { ServiceImplementation } from "@servable/grpc";
import { activeTraceparent } from "@servable/telemetry";
import type { StudyLog } from "../domain/study/study-log.ts";
import { TRIALS_MAX } from "../domain/study/study-log.ts";
import { studyReport } from "../domain/study/study-report.ts";
import type { Studies } from "../domain/study/studies.ts";
import { studyDraft, studyEventMessage, studyMessage, trialMessage } from "./study-messages.ts";

type StudyMethod =
  | "createTuningStudy"
  | "getTuningStudy"
  | "listTuningStudies"
  | "cancelTuningStudy"
  | "pauseTuningStudy"
  | "resumeTuningStudy"
  | "listTrials"
  | "watchTuningStudy"
  | "getTuningStudyReport";

/** The methods of TrainingService about studies. */
export function studyMethods({ studies, log }: { studies: Studies; log: StudyLog }): Pick<ServiceImplementation<typeof TrainingService>, StudyMethod> {
  return {
    async createTuningStudy(request, { identity }) {
      const creator = authorize(identity, "developer", request.parent);
      return studyMessage(await studies.create(studyDraft(request), creator, activeTraceparent()));
    },
    async getTuningStudy({ name }, { identity }) {
      authorize(identity, "user", name);
      return studyMessage(await studies.get(name));
    },
    async listTuningStudies({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `tuning studies of ${parent}`;
      const { rows, nextPageToken } = pageOf(await studies.list(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ sequence }) => sequence);
      return { tuningStudies: rows.map(studyMessage), nextPageToken };
    },
    async cancelTuningStudy({ name }, { identity }) {
      authorize(identity, "developer", name);
      return studyMessage(await studies.cancel(name));
    },
    async pauseTuningStudy({ name }, { identity }) {
      authorize(identity, "developer", name);
      return studyMessage(await studies.pause(name));
    },
    async resumeTuningStudy({ name }, { identity }) {
      authorize(identity, "developer", name);
      return studyMessage(await studies.resume(name));
    },
    async listTrials({ parent, pageSize, pageToken }, { identity }) {
      authorize(identity, "user", parent);
      const size = pageSizeOf(pageSize);
      const list = `trials of ${parent}`;
      const { rows, nextPageToken } = pageOf(await studies.trials(parent, { after: decodePageToken(list, pageToken), limit: size + 1 }), size, list, ({ number }) => number);
      return { trials: rows.map(trialMessage), nextPageToken };
    },
    async *watchTuningStudy({ name, afterOffset }, { identity, signal }) {
      authorize(identity, "user", name);
      const { name: study } = await studies.get(name);
      for await (const event of log.watch(study, Number(afterOffset), signal)) yield studyEventMessage(event);
    },
    async getTuningStudyReport({ name }, { identity }) {
      authorize(identity, "user", name);
      const study = await studies.get(name);
      return { html: studyReport(study, await studies.trials(name, { after: undefined, limit: TRIALS_MAX })) };
    },
  };
}
