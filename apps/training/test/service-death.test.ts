import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { ChangeSignal, openDatabase } from "@servable/storage";
import { tempDir } from "@servable/testing";
import { JobLog } from "../src/domain/job-log.ts";
import { start } from "../src/domain/training-job.ts";
import { TRAINING_MIGRATIONS, type TrainingSchema } from "../src/store/schema.ts";
import { createTrainingStore } from "../src/store/sql-training-store.ts";
import { controlledExecutor } from "./support/controlled-executor.ts";
import { eventsOf, startHarness, storyOf } from "./support/harness.ts";

describe("a service that was killed", () => {
  it("finds its RUNNING jobs at the next start, counts the loss and runs them again", async () => {
    const executor = controlledExecutor();
    await using harness = await startHarness({ execute: executor.execute });
    await harness.upload("rows", { data: "a,b\n1,yes\n2,no\n" });
    const { name } = await harness.create("orphan");
    await executor.next();
    await harness.stop();
    // What a kill -9 leaves behind: the job says RUNNING, and nobody runs it.
    {
      await using database = await openDatabase<TrainingSchema>({ url: harness.config.databaseUrl, namespace: "training", migrations: TRAINING_MIGRATIONS });
      const store = createTrainingStore(database.sql);
      await new JobLog({ store, changes: new ChangeSignal(), now: Date.now }).change(name, (job) => start(job, Date.now()));
    }

    await harness.start();
    (await executor.next()).succeed();

    assert.deepEqual(storyOf(await eventsOf(harness.client(), name)), ["QUEUED", "RUNNING", "QUEUED", "RUNNING", "QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.equal((await harness.client().getTrainingJob({ name })).attemptCount, 3);
  });
});

describe("the service's process", () => {
  const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const run = (env: Record<string, string>): ChildProcess => fork(MAIN, [], { env: { PATH: process.env["PATH"], SERVABLE_LOG_LEVEL: "silent", ...env }, silent: true });

  it("tells that it is ready, and ends with code 0 on SIGTERM", async () => {
    using directory = tempDir();
    const listen = `unix:${join(directory.path, "t.sock")}`;
    const child = run({ SERVABLE_DATA_DIR: join(directory.path, "data"), SERVABLE_LISTEN: listen });

    const [message] = (await once(child, "message")) as [unknown];
    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number];

    assert.deepEqual(message, { type: "ready", address: listen });
    assert.equal(code, 0);
  });

  it("says in one line which variable is wrong", async () => {
    using directory = tempDir();
    const child = run({ SERVABLE_DATA_DIR: join(directory.path, "data"), SERVABLE_TRAINING_CONCURRENCY: "none" });
    let output = "";
    child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString()));

    const [code] = (await once(child, "close")) as [number];

    assert.notEqual(code, 0);
    assert.match(output, /^training: SERVABLE_TRAINING_CONCURRENCY="none" is not a whole number from 1 to 64.*\(CONFIG_INVALID\)\n$/);
  });
});
