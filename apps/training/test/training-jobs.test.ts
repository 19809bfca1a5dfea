import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { after, before, beforeEach, describe, it } from "node:test";
import { ModelVersion_State } from "@servable/contracts/registry/v1/model_version";
import { TrainingJob_State, TrainingSpec_Family, type TrainingJobEvent } from "@servable/contracts/training/v1/training_job";
import { StatusError } from "@servable/errors";
import { controlledExecutor } from "./support/controlled-executor.ts";
import { DATASET, developer, eventsOf, reason, startHarness, storyOf, type Harness } from "./support/harness.ts";

const ROWS = "a,b\n1,yes\n2,no\n";

describe("training jobs", () => {
  const executor = controlledExecutor();
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ execute: executor.execute });
    await harness.upload("rows", { data: ROWS });
  });
  beforeEach(() => {
    harness.registry.outage = undefined;
    harness.registry.refuses = false;
  });
  after(() => harness[Symbol.asyncDispose]());

  it("register their result on behalf of their creator, with lineage and metrics", async () => {
    const job = await harness.create("good");
    assert.equal(job.state, TrainingJob_State.QUEUED);
    assert.deepEqual({ optimizer: job.spec?.learningRate, epochs: job.spec?.epochCount, share: job.spec?.validationFraction }, { optimizer: 0.01, epochs: 1_000, share: 0.2 });
    const attempt = await executor.next();
    attempt.progress(1);
    attempt.progress(2);

    attempt.succeed("the model");

    const events = await eventsOf(harness.client(), job.name);
    assert.deepEqual(storyOf(events), ["QUEUED", "RUNNING", "step 1", "step 2", "SUCCEEDED"]);
    const ended = await harness.client().getTrainingJob({ name: job.name });
    const version = harness.registry.versions.at(-1);
    assert.equal(ended.state, TrainingJob_State.SUCCEEDED);
    assert.equal(ended.modelVersion, version?.name);
    assert.equal(ended.evaluation?.accuracy, 0.9);
    assert.deepEqual(ended.evaluation?.confusionMatrix, [4n, 1n, 0n, 5n]);
    assert.equal(ended.creator, developer.principal);
    assert.equal(version?.sha256, createHash("sha256").update("the model").digest("hex"));
    assert.deepEqual(version?.creator, developer);
    assert.equal(version?.lineage?.trainingJob, job.name);
    assert.equal(version?.lineage?.dataset, DATASET);
    assert.equal(version?.lineage?.datasetDigest, job.datasetDigest);
    assert.deepEqual({ ...version?.metrics }, { accuracy: 0.9, baseline_accuracy: 0.6, loss: 0.25, auc: 0.95 });
    assert.deepEqual(version?.paths, ["model.onnx", "report.html", "MODEL_CARD.md"]);
    assert.equal(version?.servingConfigJson, `{"max_batch_size":8}`);
    assert.deepEqual(readdirSync(harness.config.workDir), []);
  });

  it("can be watched from any offset, and again after their end", async () => {
    const job = await harness.create("watched");
    const attempt = await executor.next();
    attempt.progress(1);
    const live = harness.client().watchTrainingJob({ name: job.name })[Symbol.asyncIterator]();
    const seen: TrainingJobEvent[] = [];
    for (let next = await live.next(); next.done !== true; next = seen.length < 3 ? await live.next() : { done: true, value: undefined }) seen.push(next.value);
    await live.return?.();
    attempt.succeed();

    const rest = await eventsOf(harness.client(), job.name, seen.at(-1)?.offset);

    assert.deepEqual(storyOf(seen), ["QUEUED", "RUNNING", "step 1"]);
    assert.deepEqual(storyOf(rest), ["SUCCEEDED"]);
    assert.deepEqual((await eventsOf(harness.client(), job.name)).map(({ offset }) => offset), [1n, 2n, 3n, 4n]);
  });

  it("fail with the trainer's own reason", async () => {
    const job = await harness.create("diverging");
    (await executor.next()).end({ kind: "failed", reason: "TRAINING_DIVERGED", message: "the loss is NaN at step 3: lower learning_rate" });
    await eventsOf(harness.client(), job.name);

    const ended = await harness.client().getTrainingJob({ name: job.name });

    assert.equal(ended.state, TrainingJob_State.FAILED);
    assert.equal(ended.failureReason, "TRAINING_DIVERGED");
    assert.match(ended.failureMessage, /lower learning_rate/);
  });

  it("fail when the registry refuses the model", async () => {
    harness.registry.refuses = true;
    const job = await harness.create("refused");
    (await executor.next()).succeed();
    await eventsOf(harness.client(), job.name);

    const ended = await harness.client().getTrainingJob({ name: job.name });

    assert.equal(ended.failureReason, "MODEL_REFUSED");
    assert.match(ended.failureMessage, /MODEL_NOT_ONNX/);
  });

  it("wait for a registry that is away", async () => {
    harness.registry.outage = new StatusError("DATABASE_UNAVAILABLE", "away");
    const job = await harness.create("patient");
    (await executor.next()).succeed();
    setTimeout(() => (harness.registry.outage = undefined), 100);

    const events = await eventsOf(harness.client(), job.name);

    assert.deepEqual(storyOf(events), ["QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.equal(harness.registry.versions.filter(({ lineage }) => lineage?.trainingJob === job.name).length, 1);
  });

  it("wait in order of arrival, up to the queue's bound; a waiting one is cancelled at once", async () => {
    const running = await harness.create("q0");
    const first = await executor.next();
    const waiting = [await harness.create("q1"), await harness.create("q2"), await harness.create("q3")];

    await assert.rejects(harness.create("q4"), reason("QUEUE_FULL", "SERVABLE_TRAINING_QUEUE_MAX"));
    const cancelled = await harness.client().cancelTrainingJob({ name: "projects/p/trainingJobs/q2" });
    await harness.create("q4");

    assert.equal(cancelled.state, TrainingJob_State.CANCELLED);
    assert.equal(cancelled.attemptCount, 0);
    first.succeed();
    const order: string[] = [];
    for (const id of ["q1", "q3", "q4"]) {
      (await executor.next()).succeed();
      await eventsOf(harness.client(), `projects/p/trainingJobs/${id}`);
      order.push(id);
    }
    const startTimes = await Promise.all(order.map(async (id) => (await harness.client().getTrainingJob({ name: `projects/p/trainingJobs/${id}` })).state));
    assert.deepEqual(startTimes, [TrainingJob_State.SUCCEEDED, TrainingJob_State.SUCCEEDED, TrainingJob_State.SUCCEEDED]);
    assert.equal(waiting.length, 3);
    assert.equal(running.state, TrainingJob_State.QUEUED);
  });

  it("are stopped while they run, and do not end twice", async () => {
    const job = await harness.create("stopped");
    const attempt = await executor.next();

    const answer = await harness.client().cancelTrainingJob({ name: job.name });

    assert.equal(answer.state, TrainingJob_State.RUNNING);
    assert.deepEqual(storyOf(await eventsOf(harness.client(), job.name)), ["QUEUED", "RUNNING", "CANCELLED"]);
    assert.ok(attempt.signal.aborted);
    await assert.rejects(harness.client().cancelTrainingJob({ name: job.name }), reason("STATE_WRONG", "CANCELLED"));
  });

  it("are made once for one request id", async () => {
    const request = { parent: "projects/p", requestId: "11111111-1111-4111-8111-111111111111", trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "b" } } };

    const [one, two] = await Promise.all([harness.client().createTrainingJob(request), harness.client().createTrainingJob(request)]);

    assert.equal(one.name, two.name);
    assert.match(one.name, /^projects\/p\/trainingJobs\/job-[0-9a-f]{10}$/);
    (await executor.next()).succeed();
    await eventsOf(harness.client(), one.name);
    assert.equal((await harness.client().createTrainingJob(request)).state, TrainingJob_State.SUCCEEDED);
    await assert.rejects(harness.create("good"), reason("ALREADY_EXISTS"));
  });

  it("are listed newest first, page by page", async () => {
    const first = await harness.client().listTrainingJobs({ parent: "projects/p", pageSize: 3 });
    const second = await harness.client().listTrainingJobs({ parent: "projects/p", pageSize: 1000, pageToken: first.nextPageToken });

    const names = [...first.trainingJobs, ...second.trainingJobs].map(({ name }) => name);
    assert.equal(first.trainingJobs.length, 3);
    assert.equal(names.at(-1), "projects/p/trainingJobs/good");
    assert.equal(new Set(names).size, names.length);
    assert.equal(second.nextPageToken, "");
  });

  const refusals: readonly { what: string; want: ReturnType<typeof reason>; call: () => Promise<unknown> }[] = [
    { what: "a data set that is not there", want: reason("DATASET_NOT_FOUND"), call: () => harness.client().createTrainingJob({ parent: "projects/p", trainingJob: { dataset: "projects/p/datasets/none", model: "projects/p/models/m", spec: { targetColumn: "b" } } }) },
    { what: "a model of another project", want: reason("FIELD_INVALID", "training_job.model"), call: () => harness.client().createTrainingJob({ parent: "projects/p", trainingJob: { dataset: DATASET, model: "projects/q/models/m", spec: { targetColumn: "b" } } }) },
    { what: "a job without a specification", want: reason("FIELD_REQUIRED", "training_job.spec"), call: () => harness.client().createTrainingJob({ parent: "projects/p", trainingJob: { dataset: DATASET, model: "projects/p/models/m" } }) },
    { what: "a target that is no column", want: reason("FIELD_INVALID", "training_job.spec.target_column"), call: () => harness.create("x", { targetColumn: "c" }) },
    { what: "hidden layers of a linear model", want: reason("FIELD_INVALID", "training_job.spec.hidden_units"), call: () => harness.create("x", { targetColumn: "b", family: TrainingSpec_Family.SOFTMAX_REGRESSION, hiddenUnits: [4] }) },
    { what: "a request id that is no UUID", want: reason("FIELD_INVALID", "request_id"), call: () => harness.client().createTrainingJob({ parent: "projects/p", requestId: "again", trainingJob: { dataset: DATASET, model: "projects/p/models/m", spec: { targetColumn: "b" } } }) },
    { what: "a job that is not there", want: reason("TRAINING_JOB_NOT_FOUND"), call: () => harness.client().cancelTrainingJob({ name: "projects/p/trainingJobs/none" }) },
    { what: "a watch of a job that is not there", want: reason("TRAINING_JOB_NOT_FOUND"), call: () => eventsOf(harness.client(), "projects/p/trainingJobs/none") },
    { what: "a creator who may only read", want: reason("PERMISSION_DENIED"), call: () => harness.client({ ...developer, role: "user" }).createTrainingJob({ parent: "projects/p" }) },
    { what: "a reader of another project", want: reason("PERMISSION_DENIED"), call: () => harness.client({ ...developer, project: "q" }).getTrainingJob({ name: "projects/p/trainingJobs/good" }) },
  ];
  for (const { what, want, call } of refusals) it(`refuse ${what}`, () => assert.rejects(call(), want));

  it("left the registry with READY versions only", () => {
    assert.ok(harness.registry.versions.every(({ state, lineage }) => state === ModelVersion_State.READY || lineage?.trainingJob.endsWith("/refused")));
  });
});
