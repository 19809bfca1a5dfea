import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Identity } from "@servable/auth";
import { FineTuningJob_State, type FineTuningJob, type StoredFile } from "@servable/contracts/training/v1/fine_tuning";
import { StatusError } from "@servable/errors";
import type { DatasetInspector } from "../src/domain/dataset-inspector.ts";
import { controlledExecutor } from "./support/controlled-executor.ts";
import { reason, startHarness, type Harness } from "./support/harness.ts";

const PARENT = "projects/p";
/** Twenty conversations with two labels. */
const EXAMPLES = Array.from({ length: 20 }, (_, row) => JSON.stringify({ messages: [{ role: "user", content: `text ${row}` }, { role: "assistant", content: row % 2 === 0 ? "even" : "odd" }] }));
const stranger: Identity = { project: "q", principal: "projects/q/apiKeys/k", role: "developer" };
const idOf = ({ name }: Pick<StoredFile, "name">): string => name.split("/").at(-1) ?? "";

/** Stands for the reader of conversations, which has tests of its own. */
const inspectChats: DatasetInspector = async ({ files }) => ({ rowCount: readFileSync(files[0]?.path ?? "", "utf8").trim().split("\n").length, columns: [], imageShape: [], labelClasses: [], labelClassCounts: [], skippedRows: [], warnings: [] });

describe("fine-tuning", () => {
  const executor = controlledExecutor();
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ execute: executor.execute, inspect: inspectChats }, { datasetLimits: { datasetBytesMax: 200_000, rowsMax: 1_000, columnsMax: 10 } });
  });
  after(() => harness[Symbol.asyncDispose]());

  const store = (text: string, { purpose = "fine-tune", filename = "train.jsonl", expireAfterSeconds = 0n } = {}) =>
    harness.tuning().uploadFile([{ payload: { case: "head", value: { parent: PARENT, file: { filename, purpose }, expireAfterSeconds } } }, { payload: { case: "chunk", value: Buffer.from(text) } }]);
  const create = async (job: Partial<FineTuningJob> & { text?: string } = {}): Promise<FineTuningJob> => {
    const { text = EXAMPLES.join("\n"), ...rest } = job;
    return harness.tuning().createFineTuningJob({ parent: PARENT, fineTuningJob: { model: "encoder", trainingFile: idOf(await store(text)), ...rest } as FineTuningJob });
  };
  const until = async (name: string, ...states: FineTuningJob_State[]): Promise<FineTuningJob> => {
    for (;;) {
      // After a restart the channel needs a moment.
      const job = await harness.tuning().getFineTuningJob({ name }).catch((error: unknown) => {
        if (!StatusError.from(error).retryable) throw error;
        return undefined;
      });
      if (job !== undefined && states.includes(job.state)) return job;
      await sleep(10);
    }
  };

  /** The next attempt; a job that fails before it has one must not hang the test. */
  const attemptOf = async ({ name }: FineTuningJob) => {
    const attempt = await Promise.race([executor.next(), until(name, FineTuningJob_State.FAILED)]);
    if ("failureMessage" in attempt) assert.fail(`${attempt.failureReason}: ${attempt.failureMessage}`);
    return attempt;
  };

  it("goes from a file to a deployed model, and tells its story", async () => {
    const made = await create({ suffix: "intents", seed: 7n, metadata: { team: "a" }, epochCount: 4 });
    assert.equal(made.state, FineTuningJob_State.VALIDATING_FILES);
    assert.match(made.name, /\/fineTuningJobs\/ftjob-[0-9a-f]{24}$/);
    const attempt = await attemptOf(made);
    await until(made.name, FineTuningJob_State.RUNNING);
    attempt.progress(1);
    attempt.progress(5);

    attempt.succeed();

    const job = await until(made.name, FineTuningJob_State.SUCCEEDED, FineTuningJob_State.FAILED);
    assert.equal(job.failureMessage, "");
    assert.match(job.fineTunedModel, /^ft:encoder:p:intents:[0-9a-f]{8}$/);
    assert.deepEqual([job.batchSize, job.epochCount, job.learningRateMultiplier, job.seed, { ...job.metadata }], [4, 4, 1, 7n, { team: "a" }]);
    assert.deepEqual(harness.registry.deployed, [job.fineTunedModel.replaceAll(":", ",")]);
    assert.equal(attempt.input.spec.family, "text_classifier");
    assert.equal(attempt.input.spec.baseModel, "projects/p/models/encoder/versions/1");
    assert.equal(attempt.input.format, "chat");
    const { events } = await harness.tuning().listFineTuningEvents({ name: job.name });
    assert.deepEqual(events.map(({ message }) => message).reverse(), [
      `Created fine-tuning job: ${idOf(job)}`,
      `Validating training file: ${job.trainingFile}`,
      "Files validated, moving job to queued state",
      "Fine-tuning job started",
      "Step 1/10: training loss=1.0000",
      "Step 5/10: training loss=0.2000",
      `New fine-tuned model created: ${job.fineTunedModel}`,
      "The job has successfully completed",
    ]);
    const pages = [];
    for (let from = ""; ; ) {
      const page = await harness.tuning().listFineTuningEvents({ name: job.name, pageSize: 3, after: from });
      pages.push(...page.events);
      from = page.events.at(-1)?.eventId ?? "";
      if (!page.more) break;
    }
    assert.deepEqual(pages, events);
    let csv = "";
    for await (const { chunk } of harness.tuning().readFile({ name: `${PARENT}/files/${job.resultFiles[0]}` })) csv += Buffer.from(chunk).toString();
    assert.equal(csv, "step,train_loss,valid_loss,valid_mean_token_accuracy\n1,1,,0.5\n5,0.2,,0.5\n");
  });

  it("goes on where it was after the service was stopped", async () => {
    const made = await create();
    await attemptOf(made);
    await until(made.name, FineTuningJob_State.RUNNING);

    await harness.stop();
    await harness.start();

    (await attemptOf(made)).succeed();
    const job = await until(made.name, FineTuningJob_State.SUCCEEDED, FineTuningJob_State.FAILED);
    assert.equal(job.state, FineTuningJob_State.SUCCEEDED, job.failureMessage);
  });

  for (const { what, text, says } of [
    { what: "a line that is no JSON", text: [...EXAMPLES.slice(0, 11), "{oops"].join("\n"), says: /training_file, line 12: / },
    { what: "a role that is none", text: [...EXAMPLES, '{"messages":[{"role":"robot","content":"x"}]}'].join("\n"), says: /training_file, line 21: messages\[0\]\.role/ },
    { what: "nothing for the assistant to say", text: ['{"messages":[{"role":"user","content":"x"}]}', ...EXAMPLES].join("\n"), says: /line 1: .*assistant/ },
    { what: "too few examples", text: EXAMPLES.slice(0, 3).join("\n"), says: /training_file has 3 examples, at least 10/ },
  ]) {
    it(`fails on a file with ${what}, naming the place`, async () => {
      const job = await until((await create({ text })).name, FineTuningJob_State.FAILED, FineTuningJob_State.RUNNING);

      assert.equal(job.state, FineTuningJob_State.FAILED);
      assert.equal(job.failureReason, "DATASET_MALFORMED");
      assert.equal(job.failureField, "training_file");
      assert.match(job.failureMessage, says);
      assert.notEqual(job.endTime, undefined);
    });
  }

  it("is judged by the rows of its validation file, and by no others", async () => {
    const validationFile = idOf(await store(EXAMPLES.slice(0, 3).join("\n")));
    const made = await create({ validationFile });

    const attempt = await attemptOf(made);

    assert.deepEqual([...readFileSync(attempt.input.split?.path ?? "")], [...Array<number>(20).fill(0), 1, 1, 1]);
    attempt.succeed();
    await until(made.name, FineTuningJob_State.SUCCEEDED);
  });

  it("names the line of the validation file", async () => {
    const validationFile = idOf(await store("{}\n"));

    const job = await until((await create({ validationFile })).name, FineTuningJob_State.FAILED);

    assert.equal(job.failureField, "validation_file");
    assert.match(job.failureMessage, /validation_file, line 1: /);
  });

  it("fails with the reason of its training", async () => {
    const made = await create();
    (await attemptOf(made)).end({ kind: "failed", reason: "TRAINING_DIVERGED", message: "the loss is no number any more" });

    const job = await until(made.name, FineTuningJob_State.FAILED);

    assert.equal(job.failureReason, "TRAINING_DIVERGED");
    const { events } = await harness.tuning().listFineTuningEvents({ name: job.name, pageSize: 1 });
    assert.deepEqual([events[0]?.level, events[0]?.message], ["error", "The job failed: the loss is no number any more"]);
  });

  it("is cancelled while it runs, and then not again", async () => {
    const made = await create();
    await attemptOf(made);
    await until(made.name, FineTuningJob_State.RUNNING);

    await harness.tuning().cancelFineTuningJob({ name: made.name });

    await until(made.name, FineTuningJob_State.CANCELLED);
    for (;;) {
      const { events } = await harness.tuning().listFineTuningEvents({ name: made.name, pageSize: 1 });
      if (events[0]?.message === "The job was cancelled") break;
      await sleep(10);
    }
    await assert.rejects(harness.tuning().cancelFineTuningJob({ name: made.name }), reason("STATE_WRONG"));
  });

  it("waits while it is paused, and goes on when it is resumed", async () => {
    const made = await create();
    await attemptOf(made);
    await until(made.name, FineTuningJob_State.RUNNING);

    await harness.tuning().pauseFineTuningJob({ name: made.name });
    await until(made.name, FineTuningJob_State.PAUSED);
    await harness.tuning().resumeFineTuningJob({ name: made.name });

    (await attemptOf(made)).succeed();
    const job = await until(made.name, FineTuningJob_State.SUCCEEDED, FineTuningJob_State.FAILED);
    assert.equal(job.state, FineTuningJob_State.SUCCEEDED, job.failureMessage);
    const { events } = await harness.tuning().listFineTuningEvents({ name: made.name });
    assert.ok(events.some(({ message }) => message === "Fine-tuning job paused"));
    await assert.rejects(harness.tuning().resumeFineTuningJob({ name: made.name }), reason("STATE_WRONG"));
  });

  it("lists jobs newest first, by pages and by metadata", async () => {
    const { fineTuningJobs: all } = await harness.tuning().listFineTuningJobs({ parent: PARENT });
    const { fineTuningJobs: first, more } = await harness.tuning().listFineTuningJobs({ parent: PARENT, pageSize: 2 });
    const { fineTuningJobs: second } = await harness.tuning().listFineTuningJobs({ parent: PARENT, pageSize: 2, after: idOf(first[1] ?? all[0] ?? assert.fail()) });

    assert.equal(more, true);
    assert.deepEqual([...first, ...second].map(({ name }) => name), all.slice(0, 4).map(({ name }) => name));
    const { fineTuningJobs: teams } = await harness.tuning().listFineTuningJobs({ parent: PARENT, metadata: { team: "a" } });
    assert.equal(teams.length, 1);
  });

  for (const { what, job, want } of [
    { what: "a model that is not there", job: { model: "nobody" }, want: "MODEL_NOT_FOUND" },
    { what: "a model's name that is none", job: { model: "a/b" }, want: "FIELD_INVALID" },
    { what: "a file that is not there", job: { trainingFile: "file-0" }, want: "FILE_NOT_FOUND" },
    { what: "a suffix with a colon", job: { suffix: "a:b" }, want: "FIELD_INVALID" },
    { what: "more epochs than allowed", job: { epochCount: 51 }, want: "FIELD_INVALID" },
    { what: "a seed below 0", job: { seed: -1n }, want: "FIELD_INVALID" },
  ] as const) {
    it(`refuses ${what} at once`, async () => {
      await assert.rejects(create(job), reason(want));
    });
  }

  it("refuses a file of another purpose", async () => {
    const trainingFile = idOf(await store("x", { purpose: "user_data" }));

    await assert.rejects(create({ trainingFile }), reason("FIELD_INVALID", "training_file"));
  });
});

describe("stored files", () => {
  let harness: Harness;
  let now = 1_000_000;
  before(async () => {
    harness = await startHarness({ now: () => now }, { datasetLimits: { datasetBytesMax: 1_000, rowsMax: 10, columnsMax: 2 } });
  });
  after(() => harness[Symbol.asyncDispose]());
  const store = (text: string, purpose = "user_data", expireAfterSeconds = 0n) =>
    harness.tuning().uploadFile([{ payload: { case: "head", value: { parent: PARENT, file: { filename: "a.txt", purpose }, expireAfterSeconds } } }, { payload: { case: "chunk", value: Buffer.from(text) } }]);

  it("come back as they were, in the order of their age, for their project alone", async () => {
    const files = [];
    for (const text of ["one", "two", "one"]) {
      now += 10;
      files.push(await store(text));
    }

    const page = await harness.tuning().listFiles({ parent: PARENT, pageSize: 2 });
    const rest = await harness.tuning().listFiles({ parent: PARENT, pageSize: 2, after: idOf(page.files[1] ?? assert.fail()) });

    assert.deepEqual([...page.files, ...rest.files].map(({ name }) => name), files.map(({ name }) => name).reverse());
    assert.deepEqual([page.more, rest.more], [true, false]);
    assert.deepEqual((await harness.tuning().listFiles({ parent: PARENT, ascending: true })).files.map(({ name }) => name), files.map(({ name }) => name));
    await assert.rejects(harness.tuning(stranger).getFile({ name: files[0]?.name ?? "" }), reason("PERMISSION_DENIED"));
    await harness.tuning().deleteFile({ name: files[0]?.name ?? "" });
    let text = "";
    for await (const { chunk } of harness.tuning().readFile({ name: files[2]?.name ?? "" })) text += Buffer.from(chunk).toString();
    assert.equal(text, "one", "the bytes of a twin stay");
    await assert.rejects(harness.tuning().getFile({ name: files[0]?.name ?? "" }), reason("FILE_NOT_FOUND"));
  });

  it("are gone when they expire", async () => {
    const file = await store("brief", "user_data", 3_600n);
    assert.deepEqual(Number(file.expireTime?.seconds), Math.floor((now + 3_600_000) / 1_000));

    now += 3_600_001;

    await assert.rejects(harness.tuning().getFile({ name: file.name }), reason("FILE_NOT_FOUND"));
  });

  for (const { what, send, want } of [
    { what: "an unknown purpose", send: () => store("x", "fun"), want: "FIELD_INVALID" },
    { what: "a purpose that only jobs write", send: () => store("x", "fine-tune-results"), want: "FIELD_INVALID" },
    { what: "an empty file", send: () => store(""), want: "FIELD_INVALID" },
    { what: "more bytes than the limit", send: () => store("x".repeat(1_001)), want: "ARTIFACT_TOO_LARGE" },
    { what: "an expiry of a minute", send: () => store("x", "user_data", 60n), want: "FIELD_INVALID" },
  ] as const) {
    it(`refuse ${what}`, async () => {
      await assert.rejects(send(), (error) => error instanceof StatusError && error.reason === want);
    });
  }
});
