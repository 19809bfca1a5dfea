import { StatusError } from "@servable/errors";
import type { JobRecord } from "./records.ts";
import type { RunRecord } from "./run-record.ts";

/** The record of a job that can be repeated. @throws StatusError `STATE_WRONG` */
export function reproducible(job: JobRecord): RunRecord {
  if (job.state !== "SUCCEEDED" || job.runRecord === undefined || job.runRecord.weightsDigest === "") {
    throw new StatusError("STATE_WRONG", `training_job.reproduced_job: ${job.name} is ${job.state} and has no complete record: only a job that SUCCEEDED is repeated`, { metadata: { field: "training_job.reproduced_job", state: job.state } });
  }
  return job.runRecord;
}

/** Compares a repetition with what it repeats. @throws StatusError `TRAINING_NOT_REPRODUCED` naming what was different */
export function checkReproduction(original: JobRecord | undefined, repeated: RunRecord | undefined): void {
  const before = original?.runRecord;
  if (before === undefined || repeated === undefined) throw new StatusError("TRAINING_NOT_REPRODUCED", "one of the two runs has no record to compare");
  if (before.weightsDigest === repeated.weightsDigest) return;
  const facts = (record: RunRecord): Record<string, string> => ({
    ...record.versions,
    "instruction set": record.instructionSet,
    "thread count": String(record.threadCount),
    "data set": record.datasetDigest,
    split: record.splitDigest,
    graph: record.graphDigest,
    "base model": record.baseModelDigest,
    specification: record.specificationJson,
  });
  const [then, now] = [facts(before), facts(repeated)];
  const different = Object.keys(then).filter((name) => then[name] !== now[name]);
  throw new StatusError(
    "TRAINING_NOT_REPRODUCED",
    `the weights are ${repeated.weightsDigest} and were ${before.weightsDigest}; ${different.length === 0 ? "everything recorded is the same" : `different are: ${different.map((name) => (name === "specification" ? name : `${name} (${then[name]} then, ${now[name]} now)`)).join(", ")}`}`,
    { metadata: { different: different.join(", ") } },
  );
}
