import assert from "node:assert/strict";
import { copyFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { mkdirSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { tempDir } from "@servable/testing";
import { toyTask } from "../../test/support/toy-task.ts";
import type { AttemptInput, AttemptNews, AvailableCheckpoint } from "../domain/job-executor.ts";
import { SPEC_DEFAULTS, type TrainingSpecRecord } from "../domain/training-spec-record.ts";
import type { LearningTask } from "./learning-task.ts";
import { runAttempt } from "./run-attempt.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());

interface Run {
  readonly end: Awaited<ReturnType<typeof runAttempt>>;
  readonly news: AttemptNews[];
  /** Checkpoints as the service would keep them, newest first. */
  readonly kept: AvailableCheckpoint[];
  readonly digest: string | undefined;
}

/** Runs an attempt; `stopAfter` stops it, with its work saved, once that many checkpoints were written. */
async function run(spec: Partial<TrainingSpecRecord>, { task = toyTask(), checkpoints = [], stopAfter = Infinity, ...change }: Partial<AttemptInput> & { task?: LearningTask; stopAfter?: number } = {}): Promise<Run> {
  const folder = mkdtempSync(join(directory.path, "run-"));
  const [outputDir, checkpointDir, store] = ["output", "checkpoints", "store"].map((name) => join(folder, name)) as [string, string, string];
  for (const path of [outputDir, checkpointDir, store]) mkdirSync(path);
  const input: AttemptInput = {
    files: [], format: "csv", columns: [], missingValues: [], outputDir, checkpointDir, checkpoints, datasetDigest: "sha256:toy",
    spec: { ...SPEC_DEFAULTS, epochCount: 6, batchSize: 16, seed: 3, learningRate: 0.02, checkpointPolicy: { intervalSteps: 3, keepCount: 2 }, ...spec },
    ...change,
  };
  const news: AttemptNews[] = [];
  const kept: AvailableCheckpoint[] = [...checkpoints];
  const stop = new AbortController();
  let written = 0;
  const onNews = (each: AttemptNews): void => {
    news.push(each);
    if (each.kind !== "checkpoint") return;
    const { path, sha256, step } = each.checkpoint;
    const copy = join(store, `${step}`);
    copyFileSync(path, copy);
    rmSync(path);
    kept.unshift({ path: copy, sha256, step });
    written += 1;
    if (written === stopAfter) stop.abort({ save: true });
  };
  const end = await runAttempt(input, { stop: stop.signal, onNews, now: () => performance.now() }, async () => task);
  return { end, news, kept, digest: end.type === "done" ? end.runRecord?.weightsDigest : undefined };
}

const messages = ({ news }: Run): string[] => news.flatMap((each) => (each.kind === "log" ? [each.message.text] : []));
const reason = (want: string, words: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === want && words.test(error.message);

describe("a training loop", () => {
  it("ends with the same bits wherever it was stopped and gone on from", async () => {
    const spec = { emaDecay: 0.9, accumulationCount: 2, batchSize: 8, schedule: { ...SPEC_DEFAULTS.schedule, shape: "plateau", patience: 1 }, earlyStopping: { metric: "validation_loss", patience: 9, minDelta: 0 } } as const;
    const whole = await run(spec);
    assert.equal(whole.end.type, "done");

    for (const stopAfter of [1, 2, 4]) {
      const first = await run(spec, { stopAfter });
      assert.equal(first.end.type, "stopped");
      const rest = await run(spec, { checkpoints: first.kept });
      assert.equal(rest.digest, whole.digest, `stopped after ${stopAfter} checkpoints`);
      assert.match(messages(rest)[0] ?? "", /goes on from the checkpoint of step/);
    }
  });

  it("depends on the seed", async () => {
    assert.notEqual((await run({})).digest, (await run({ seed: 4 })).digest);
  });

  it("leaves out a checkpoint that is torn, and takes the one before", async () => {
    const whole = await run({});
    const first = await run({}, { stopAfter: 3 });
    const [newest, before] = first.kept;
    truncateSync(newest?.path ?? "", 100);

    const rest = await run({}, { checkpoints: first.kept });

    assert.equal(rest.digest, whole.digest);
    assert.match(messages(rest)[0] ?? "", new RegExp(`step ${newest?.step} is left out`));
    assert.match(messages(rest)[1] ?? "", new RegExp(`goes on from the checkpoint of step ${before?.step}`));
  });

  it("leaves out one with a flipped bit, and begins anew where none is whole", async () => {
    const whole = await run({});
    const first = await run({}, { stopAfter: 1 });
    for (const { path } of first.kept) {
      const bytes = readFileSync(path);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      writeFileSync(path, bytes);
    }

    const rest = await run({}, { checkpoints: first.kept });

    assert.equal(rest.digest, whole.digest);
    assert.ok(messages(rest).every((text) => !text.startsWith("goes on")));
  });

  it("does not go on where other bits would come out", async () => {
    const first = await run({}, { stopAfter: 1 });

    await assert.rejects(run({ dropout: 0, threadCount: 2 }, { checkpoints: first.kept }), reason("CHECKPOINT_INCOMPATIBLE", /thread count was 1 and is 2/));
    await assert.rejects(run({}, { checkpoints: first.kept, datasetDigest: "sha256:other" }), reason("CHECKPOINT_INCOMPATIBLE", /data set was sha256:toy and is sha256:other/));
    await assert.rejects(run({ batchSize: 12 }, { checkpoints: first.kept }), reason("CHECKPOINT_INCOMPATIBLE", /training graph was/));
  });

  it("keeps the weights that were best by the watched metric", async () => {
    const losses: number[] = [];
    const task = toyTask();
    // The third look is the best, whatever the network does.
    const judged = [3, 2, 1, 5, 6, 7, 8];
    const judge: LearningTask["judge"] = async (rows, evaluate, detail) => {
      const report = await task.judge(rows, evaluate, detail);
      const loss = detail === "summary" ? (judged[losses.length] ?? 9) : report.loss;
      if (detail === "summary") losses.push(report.loss);
      return { ...report, loss, metrics: {} };
    };

    const stopped = await run({ epochCount: 20, earlyStopping: { metric: "validation_loss", patience: 2, minDelta: 0 } }, { task: { ...task, judge } });

    assert.equal(losses.length, 6);
    assert.equal(stopped.end.type === "done" ? stopped.end.evaluation.loss : 0, losses[2]);
    assert.ok(messages(stopped).some((text) => /stops early: validation_loss has not improved since step 15/.test(text)));
  });

  it("refuses to watch what is not measured", async () => {
    await assert.rejects(run({ earlyStopping: { metric: "f2", patience: 2, minDelta: 0 } }), reason("FIELD_INVALID", /"f2" is not measured.*validation_loss, loss/));
    await assert.rejects(run({ earlyStopping: { metric: "loss", patience: 2, minDelta: 0 } }, { task: toyTask({ change: { validationRows: new Uint32Array() } }) }), reason("FIELD_INVALID", /validation rows and there are none/));
  });

  it("goes back with a lower rate when the loss is no number, and gives up when that does not help", async () => {
    let broken = 2;
    const task = toyTask();
    // Batches of step 8 are broken twice: as if the rate had been too high there.
    const feeds: LearningTask["feeds"] = (rows, draw) => {
      const batch = task.feeds(rows, draw);
      if (draw?.step !== 7 || broken === 0) return batch;
      broken -= 1;
      return { ...batch, x: { data: new Float32Array(rows.length * 4).fill(NaN), shape: [rows.length, 4] } };
    };

    const run1 = await run({ checkpointPolicy: { intervalSteps: 3, keepCount: 2 } }, { task: { ...task, feeds } });

    assert.equal(run1.end.type, "done");
    assert.deepEqual(messages(run1), [1, 2].map((times) => `the loss became NaN at step 8: went back to step 6, the learning rate is ${0.02 / 2 ** times} from here`));
    broken = 3;
    await assert.rejects(run({}, { task: { ...task, feeds } }), reason("TRAINING_DIVERGED", /NaN at step 8, also after 2 times going back/));
    broken = 1;
    await assert.rejects(run({ rollbackCountMax: 0 }, { task: { ...task, feeds } }), reason("TRAINING_DIVERGED", /lower the learning rate/));
  });

  it("goes back to the begin where there is no checkpoint yet", async () => {
    let broken = 1;
    const task = toyTask();
    const feeds: LearningTask["feeds"] = (rows, draw) => {
      const batch = task.feeds(rows, draw);
      if (draw?.step !== 1 || broken-- <= 0) return batch;
      return { ...batch, x: { data: new Float32Array(rows.length * 4).fill(NaN), shape: [rows.length, 4] } };
    };

    const back = await run({}, { task: { ...task, feeds } });

    assert.equal(back.digest, (await run({ learningRate: 0.01 })).digest);
    assert.match(messages(back)[0] ?? "", /went back to step 0, the learning rate is 0.01/);
  });

  it("measures a few steps and makes nothing, as a probe", async () => {
    const probe = await run({ epochCount: 100 }, { mode: "probe" });

    assert.equal(probe.end.type, "probed");
    if (probe.end.type !== "probed") return;
    assert.deepEqual([probe.end.estimate.stepCount, probe.end.estimate.measuredStepCount, probe.kept.length], [500, 5, 0]);
    assert.ok(probe.end.estimate.runMs > 0 && probe.end.estimate.memoryBytes > 0);
  });

  it("ends after the steps that are said, whatever the epochs", async () => {
    const short = await run({ stepCountMax: 7, evaluationIntervalSteps: 3 });
    const progress = short.news.flatMap((each) => (each.kind === "progress" ? [each.progress] : []));

    assert.deepEqual([progress.at(-1)?.step, progress.at(-1)?.stepCount, progress.at(-1)?.epoch, progress.at(-1)?.epochCount], [7, 7, 2, 2]);
    assert.ok((progress.at(-1)?.metrics?.["validation_loss"] ?? 0) > 0);
  });
});
