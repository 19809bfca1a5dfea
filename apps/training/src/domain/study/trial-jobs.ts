import type { Identity } from "@servable/auth";
import type { JobDraft } from "../job-draft.ts";
import type { JobRecord } from "../records.ts";

/** The jobs as a study needs them; the service's own jobs are these. */
export interface TrialJobs {
  /** @throws StatusError as for any caller; `ALREADY_EXISTS` when the id is taken */
  create(draft: JobDraft, creator: Identity, traceparent: string | undefined): Promise<JobRecord>;
  /** @throws StatusError `TRAINING_JOB_NOT_FOUND`, `STATE_WRONG` */
  cancel(name: string): Promise<JobRecord>;
}
