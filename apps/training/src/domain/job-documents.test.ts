import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, describe, it } from "node:test";
import { tempDir } from "@servable/testing";
import { evaluateClassification } from "@servable/evaluation";
import { writeJobDocuments } from "./job-documents.ts";
import type { JobEventRecord, JobRecord } from "./records.ts";
import { SPEC_DEFAULTS } from "./training-spec-record.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());

describe("the documents of a job's result", () => {
  it("tell the model, its data by digest, every setting and how it learned, each step once", async () => {
    const job = { name: "projects/p/trainingJobs/j", model: "projects/p/models/churn", dataset: "projects/p/datasets/d", datasetDigest: "sha256:abc", creator: { principal: "ada" }, spec: { ...SPEC_DEFAULTS, targetColumn: "left", seed: 42 } } as JobRecord;
    // More events than one piece, and steps that a second attempt told again.
    const steps = [...Array(1_200).keys(), 1_100, 1_201];
    const log = steps.map((step, index): JobEventRecord => ({ offset: index + 1, timeMs: 0, event: { kind: "progress", progress: { epoch: 1, epochCount: 1, step, stepCount: 2_000, loss: 1 / (step + 1), stepsPerSecond: 1 } } }));

    const files = await writeJobDocuments({
      job,
      evaluation: evaluateClassification({ classes: ["no", "yes"], targets: [0, 1, 1], probabilities: [0.1, 0.8, 0.7] }),
      runRecord: { weightsDigest: "sha256:def", versions: { node: "26" } },
      events: { after: (_, offset, limit) => Promise.resolve(log.filter((event) => event.offset > offset).slice(0, limit)) },
      folder: directory.path,
    });

    assert.deepEqual(files.map(({ path }) => path), ["report.html", "MODEL_CARD.md"]);
    for (const { file, sha256 } of files) assert.equal(createHash("sha256").update(readFileSync(file)).digest("hex"), sha256);
    const [page, card] = files.map(({ file }) => readFileSync(file, "utf8"));
    assert.match(page ?? "", /Loss over steps/);
    for (const text of ["projects/p/models/churn", "sha256:abc", "left"]) assert.ok(page?.includes(text), text);
    for (const line of ["| setting seed | 42 |", "| weightsDigest | sha256:def |", "| versions.node | 26 |", "| accuracy | 1"]) assert.ok(card?.includes(line), line);
  });
});
