import type { AttemptResult } from "./job-executor.ts";
import type { JobRecord } from "./records.ts";

/**
 * Registers the result of a job under its model, on behalf of the job's creator, and answers the version's name once it
 * is READY. Doing it twice for one job answers the same version.
 *
 * @throws StatusError what the registry answers, `MODEL_REFUSED` when it finds the model bad
 */
export type ModelPublisher = (job: JobRecord, result: AttemptResult, signal: AbortSignal) => Promise<string>;
