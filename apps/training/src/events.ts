import { metrics } from "@opentelemetry/api";
import type { EndedCall } from "@servable/grpc";
import { contextOf, once, withSpan, type Logger } from "@servable/telemetry";
import type { JobObserver, Traced } from "./domain/job-runner.ts";
import type { StudyObserver } from "./domain/study/study-driver.ts";

// Made at first use: an instrument of before the set-up of telemetry counts into nothing.
const instruments = once(() => {
  const meter = metrics.getMeter("training");
  return {
    calls: meter.createHistogram("rpc_server_duration_ms", { unit: "ms", description: "Duration of served calls." }),
    ended: meter.createCounter("training_jobs_ended_total", { description: "Ended training jobs by state." }),
    studiesEnded: meter.createCounter("tuning_studies_ended_total", { description: "Ended tuning studies by state." }),
    trialsEnded: meter.createCounter("tuning_trials_ended_total", { description: "Ended trials of tuning studies by state." }),
    lost: meter.createCounter("training_attempts_lost_total", { description: "Training processes that died without an answer." }),
  };
});

/** One served call. */
export function recordCall({ method, code, durationMs }: EndedCall): void {
  instruments().calls.record(durationMs, { method, code });
}

/** Metrics and log lines of jobs. */
export function jobObserver(logger: Logger): JobObserver {
  return {
    jobEnded: ({ name, state, failureReason, attemptCount }) => {
      instruments().ended.add(1, { state });
      logger.info({ event: "training_job_ended", training_job: name, state, failure_reason: failureReason, attempt_count: attemptCount });
    },
    attemptLost: ({ name, attemptCount }, how) => {
      instruments().lost.add(1);
      logger.warn({ event: "training_attempt_lost", training_job: name, attempt: attemptCount, how });
    },
    unexpected: (event, job, error) => logger.error({ event, training_job: job, err: error }),
  };
}

/** Metrics and log lines of studies. */
export function studyObserver(logger: Logger): StudyObserver {
  return {
    studyEnded: ({ name, state, failureReason, counts }) => {
      instruments().studiesEnded.add(1, { state });
      logger.info({ event: "tuning_study_ended", tuning_study: name, state, failure_reason: failureReason, trial_counts: counts });
    },
    trialEnded: ({ name }, { number, state, failureReason, objective }) => {
      instruments().trialsEnded.add(1, { state });
      logger.info({ event: "tuning_trial_ended", tuning_study: name, trial: number, state, failure_reason: failureReason, objective });
    },
    unexpected: (event, study, error) => logger.error({ event, tuning_study: study, err: error }),
  };
}

/** Spans of jobs; a job's belong to the trace of the call that created it. */
export const traced: Traced = (name, attributes, work, traceparent) => withSpan(name, attributes, work, contextOf(traceparent));
