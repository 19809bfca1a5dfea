// The promise of the engine: kill the training process anywhere, as often as you like, and the weights are the same bits.
// SERVABLE_KILLS=50 runs the full number.

import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { TrainingJob_State, TrainingSpec_Family, TrainingSpec_Optimizer, type TrainingJob } from "@servable/contracts/training/v1/training_job";
import { seededRandom } from "@servable/testing";
import { childProcessExecutor } from "../src/executor/child-process-executor.ts";
import { childProcessInspector } from "../src/executor/child-process-inspector.ts";
import { startHarness, type Harness } from "./support/harness.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const KILLS = Number(process.env["SERVABLE_KILLS"] ?? 3);
const SEED = Number(process.env["SERVABLE_SEED"] ?? 11);

/** Two rings that a network with dropout tells apart. */
const ROWS = ["x,y,ring", ...Array.from({ length: 240 }, (_, row) => `${((1 + (row % 2)) * Math.cos(row)).toFixed(4)},${((1 + (row % 2)) * Math.sin(row)).toFixed(4)},${row % 2 === 0 ? "in" : "out"}`)].join("\n");
const SPEC = {
  targetColumn: "ring",
  family: TrainingSpec_Family.MLP,
  hiddenUnits: [32, 32],
  optimizer: TrainingSpec_Optimizer.ADAMW,
  dropout: 0.2,
  emaDecay: 0.95,
  batchSize: 8,
  epochCount: 60 + 30 * KILLS,
  seed: 5n,
  evaluationIntervalSteps: 100n,
  earlyStopping: { metric: "validation_loss", patience: 1_000 },
  checkpointPolicy: { intervalSteps: 40n, keepCount: 2 },
};
const SHORT = { ...SPEC, epochCount: 60 };
/** Weights of an undisturbed short run: the same in every service. */
let moved: string | undefined;

const harnessWith = (): Promise<Harness> =>
  startHarness({ inspect: childProcessInspector({ timeoutMs: 30_000 }), execute: childProcessExecutor({ cancelGraceMs: 2_000, saveGraceMs: 5_000, env: process.env }) }, { attemptsMax: 3, leaseMs: 3_000 });

/** Follows a job to its end; `onStep` is told of the pid's progress. */
async function follow(harness: Harness, name: string, onStep: (step: number) => void): Promise<TrainingJob> {
  for await (const { event } of harness.client().watchTrainingJob({ name }, { timeoutMs: 1_500_000 })) if (event.case === "checkpoint" || event.case === "progress") onStep(Number(event.value.step));
  return harness.client().getTrainingJob({ name });
}

/** Pids of this process's children that train. */
function trainerPids(): number[] {
  return readdirSync("/proc").filter((entry) => /^\d+$/.test(entry)).map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("trainer-worker") && readFileSync(`/proc/${pid}/status`, "utf8").includes(`PPid:\t${process.pid}\n`);
    } catch {
      return false; // It has just ended.
    }
  });
}

describe("a training process", { skip: process.platform === "linux" ? false : "finds its processes in /proc" }, () => {
  it(`killed ${KILLS} times at random moments ends with the weights of an undisturbed run (seed ${SEED})`, async () => {
    await using harness = await harnessWith();
    await harness.upload("rows", { data: ROWS });
    const undisturbed = await follow(harness, (await harness.create("whole", SPEC)).name, () => {});
    assert.equal(undisturbed.state, TrainingJob_State.SUCCEEDED, undisturbed.failureMessage);

    const random = seededRandom(SEED);
    const { name } = await harness.create("killed", SPEC);
    const killed = new Set<number>();
    let nextStep = 1;
    const kill = async (): Promise<void> => {
      // Somewhere in the steps, the writing of a checkpoint or the start after the last kill.
      await new Promise((resolve) => setTimeout(resolve, random.next() * 60));
      for (const pid of trainerPids()) {
        process.kill(pid, "SIGKILL");
        killed.add(pid);
      }
    };
    const job = await follow(harness, name, (step) => {
      if (step < nextStep || killed.size >= KILLS) return;
      nextStep = step + 41;
      void kill();
    });

    assert.equal(job.state, TrainingJob_State.SUCCEEDED, job.failureMessage);
    assert.equal(job.runRecord?.weightsDigest, undisturbed.runRecord?.weightsDigest);
    // One that was killed while its process ended by itself was no loss.
    const lost = job.attemptCount - 1;
    assert.ok(lost >= Math.min(KILLS, 2) && lost <= killed.size, `${lost} attempts were lost to ${killed.size} kills`);
    assert.equal(harness.registry.versions[0]?.sha256, harness.registry.versions[1]?.sha256);
  });

  it("goes on where it was when its service is stopped, paused or asked to repeat", async () => {
    await using harness = await harnessWith();
    await harness.upload("rows", { data: ROWS });
    const undisturbed = await follow(harness, (await harness.create("whole", SHORT)).name, () => {});
    moved = undisturbed.runRecord?.weightsDigest;

    const { name } = await harness.create("moved", SHORT);
    for await (const { event } of harness.client().watchTrainingJob({ name })) if (event.case === "progress") break;
    await harness.client().pauseTrainingJob({ name });
    let job = await harness.client().getTrainingJob({ name });
    while (job.state === TrainingJob_State.RUNNING) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      job = await harness.client().getTrainingJob({ name });
    }
    assert.equal(job.state, TrainingJob_State.PAUSED, job.failureMessage);
    const { checkpoints } = await harness.client().listTrainingCheckpoints({ parent: name });
    assert.ok(checkpoints.length > 0 && checkpoints[0]?.step === job.checkpoint?.step);
    await harness.client().resumeTrainingJob({ name });
    for await (const { event } of harness.client().watchTrainingJob({ name, afterOffset: 3n })) if (event.case === "checkpoint" && event.value.step > (job.checkpoint?.step ?? 0n)) break;
    await harness.stop();
    await harness.start();
    job = await follow(harness, name, () => {});

    assert.equal(job.state, TrainingJob_State.SUCCEEDED, job.failureMessage);
    assert.equal(job.runRecord?.weightsDigest, undisturbed.runRecord?.weightsDigest);
    assert.ok((job.usage?.peakMemoryBytes ?? 0n) > 0n && (job.usage?.rowCount ?? 0n) > 0n && Number(job.usage?.runDuration?.nanos ?? 0) > 0);
    assert.ok((job.costEstimate?.secondsPerStep ?? 0) > 0);

    const repeated = await harness.client().createTrainingJob({ parent: "projects/p", trainingJobId: "again", trainingJob: { reproducedJob: name } });
    const again = await follow(harness, repeated.name, () => {});
    assert.equal(again.state, TrainingJob_State.SUCCEEDED, again.failureMessage);
    assert.deepEqual([again.runRecord?.weightsDigest, again.modelVersion], [job.runRecord?.weightsDigest, ""]);
  });

  it("goes on under the next service when its own is killed, and nothing of the old one counts", async () => {
    await using harness = await harnessWith();
    assert.ok(moved !== undefined, "the run before gave no digest to compare with");
    await harness.stop();
    const { config } = harness;
    const env = {
      PATH: process.env["PATH"],
      SERVABLE_LOG_LEVEL: "silent",
      SERVABLE_DATA_DIR: join(config.workDir, "..", "data"),
      SERVABLE_LISTEN: config.listen,
      SERVABLE_REGISTRY_ADDRESS: config.registryAddress,
      SERVABLE_INTERNAL_TOKEN: config.internalToken,
    };
    const startService = async (): Promise<ChildProcess> => {
      const child = fork(MAIN, [], { env, silent: true });
      await once(child, "message");
      return child;
    };
    let service = await startService();
    await harness.upload("rows", { data: ROWS });
    const { name } = await harness.create("orphan", SHORT);
    let kills = 0;
    for (let step = 0n; kills < 2; ) {
      // The stream ends with the service; the next one has the events that were stored.
      for await (const { event } of harness.client().watchTrainingJob({ name }, { timeoutMs: 60_000 })) {
        if (event.case !== "checkpoint" || event.value.step <= step) continue;
        step = event.value.step + 40n;
        break;
      }
      service.kill("SIGKILL");
      await once(service, "exit");
      kills += 1;
      await rm(config.listen.slice("unix:".length), { force: true });
      service = await startService();
    }
    const job = await follow(harness, name, () => {});
    service.kill("SIGTERM");
    await once(service, "exit");

    assert.equal(job.state, TrainingJob_State.SUCCEEDED, job.failureMessage);
    assert.equal(job.attemptCount, kills + 1);
    assert.equal(job.runRecord?.weightsDigest, moved);
  });
});
