import type { AttemptLimits } from "./job-executor.ts";
import type { JobRecord } from "./records.ts";
import { costOf, type Price } from "./run-record.ts";

/** What the service grants a job that asks for nothing, and at most to one that does. */
export interface ServiceLimits {
  readonly memoryBytesMax: number;
  readonly runMsMax: number;
  readonly price: Price;
}

/** What is left to a job's next attempt; a time of 0 or less means that it must not begin. */
export function limitsOf(job: JobRecord, service: ServiceLimits, nowMs: number): AttemptLimits {
  const { limits, usage } = job;
  const memoryBytes = limits.memoryBytes === 0 ? service.memoryBytesMax : Math.min(limits.memoryBytes, service.memoryBytesMax);
  const byService = service.runMsMax;
  const bounds = [
    { runMs: Math.min(limits.runMs ?? byService, byService) - usage.runMs, timeMessage: `the job ran for ${seconds(Math.min(limits.runMs ?? byService, byService))}, as long as it may (${limits.runMs === undefined || limits.runMs > byService ? "SERVABLE_TRAINING_TIME_MAX" : "limits.run_duration"})` },
    ...(limits.cost > 0 && service.price.perHour > 0
      ? [{ runMs: (limits.cost / service.price.perHour) * 3_600_000 - usage.runMs, timeMessage: `the job cost ${limits.cost} ${service.price.currency}, as much as it may (limits.cost)` }]
      : []),
    ...(limits.deadlineMs === undefined ? [] : [{ runMs: limits.deadlineMs - nowMs, timeMessage: deadlineMessage(limits.deadlineMs) }]),
  ];
  const first = bounds.reduce((least, bound) => (bound.runMs < least.runMs ? bound : least));
  return { memoryBytes, ...first };
}

/** What the owner of a job that came too late is told. */
export function deadlineMessage(deadlineMs: number): string {
  return `the job's deadline ${new Date(deadlineMs).toISOString()} has passed (limits.deadline_time)`;
}

/** What a job has cost so far. */
export function costSoFar(job: JobRecord, price: Price): number {
  return costOf(job.usage.runMs, price);
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
