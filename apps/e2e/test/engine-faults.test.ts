// A model is a program by a stranger: it may die, hang or eat memory. Whoever calls it notices; nobody else does.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ServableClient } from "@servable/client";
import { StatusError } from "@servable/errors";
import { elementsOf, tensorOf, type Tensor } from "@servable/tensor";
import { addSubModel, tempDir } from "@servable/testing";
import { squareModel, zerosModel } from "../src/hostile-models.ts";
import { descendantsOf, residentBytes } from "../src/process-memory.ts";
import { TestPlatform } from "../src/test-platform.ts";

const CALLERS = 8;
const KILLS = 6;
const ENGINE_BYTES_MAX = 1024 ** 3;
const LINUX_ONLY = process.platform !== "linux" && "needs /proc";
const NEEDS_PRLIMIT = spawnSync("prlimit", ["--version"], { stdio: "ignore" }).status !== 0 && "needs prlimit";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for what must come; the test's own time-out is the bound. */
async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await sleep(20);
}

const reasonOf = (error: unknown): string => (error instanceof StatusError ? error.reason : String(error));

describe("a model that misbehaves", { timeout: 180_000, skip: LINUX_ONLY }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  /** Tells of every failure instead of calling again. */
  let caller: ServableClient;
  const sixteen = tensorOf("INT32", [1, 16], Array<number>(16).fill(21));
  const sum = async (model: string): Promise<unknown> => {
    const { outputs } = await caller.inference.infer({ model, inputs: { INPUT0: sixteen, INPUT1: sixteen }, timeoutMs: 20_000 });
    return elementsOf(outputs["OUTPUT0"] as Tensor)[0];
  };
  const sized = (model: string, size: number) => caller.inference.infer({ model, inputs: { SIZE: tensorOf("INT64", [1], [size]) }, timeoutMs: 60_000 });
  const indexed = async (model: string) => (await platform.client.inference.repositoryIndex()).find(({ name }) => name === model);

  /** Process ids of engines, by what the platform's inference service has started. */
  const engines = (): number[] => descendantsOf(platform.platform.pids()["inference-0"] ?? 0).filter((pid) => commandOf(pid).includes("engine-worker"));

  before(async () => {
    platform = await TestPlatform.create({ trace: false, env: { SERVABLE_ENGINE_MEMORY_MAX: String(ENGINE_BYTES_MAX), SERVABLE_RUN_TIMEOUT: "4s" } });
    caller = new ServableClient({ address: platform.platform.grpcAddress, apiKey: platform.apiKey, retry: { attemptsMax: 1 } });
    for (const [model, bytes] of Object.entries({ good: addSubModel(), victim: addSubModel(), square: squareModel(), zeros: zerosModel() })) {
      const file = join(directory.path, `${model}.onnx`);
      writeFileSync(file, bytes);
      await platform.client.models.importFile({ model, file });
    }
    await platform.client.deployments.deploy({ model: "good" });
  });
  after(async () => {
    caller.close();
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("and is killed under load again and again fails only calls that were under way, and serves again each time", async (context) => {
    const others = engines();
    await platform.client.deployments.deploy({ model: "victim" });
    const outcomes = new Map<string, number>();
    let stop = false;
    const call = async (model: string): Promise<void> => {
      while (!stop) {
        const outcome = await sum(model).then((value) => (value === 42 ? "right" : `wrong: ${String(value)}`), reasonOf);
        outcomes.set(`${model} ${outcome}`, (outcomes.get(`${model} ${outcome}`) ?? 0) + 1);
        if (outcome !== "right") await sleep(10);
      }
    };
    const callers = [...Array.from({ length: CALLERS }, () => call("victim")), call("good"), call("good")];
    for (let kills = 0; kills < KILLS; kills++) {
      const right = outcomes.get("victim right") ?? 0;
      await until(() => (outcomes.get("victim right") ?? 0) > right + 20);
      const [pid] = engines().filter((each) => !others.includes(each));
      assert.ok(pid !== undefined);
      process.kill(pid, "SIGKILL");
    }
    const right = outcomes.get("victim right") ?? 0;
    await until(() => (outcomes.get("victim right") ?? 0) > right + 20);
    stop = true;
    await Promise.all(callers);

    context.diagnostic(JSON.stringify([...outcomes]));
    const allowed = new Set(["good right", "victim right", "victim ENGINE_CRASHED", "victim MODEL_NOT_READY"]);
    assert.deepEqual([...outcomes.keys()].filter((outcome) => !allowed.has(outcome)), []);
    assert.equal((await indexed("victim"))?.state, "READY");
  });

  it("and dies whenever it is started is reported in the index with the reason, and others go on", async () => {
    const others = engines();
    await platform.client.deployments.deploy({ model: "victim", as: "doomed" });
    const victims = (): number[] => engines().filter((each) => !others.includes(each));
    let ended = false;
    const killer = (async () => {
      while (!ended) {
        for (const pid of victims()) tryKill(pid);
        await sleep(20);
      }
    })();

    await until(async () => (await indexed("doomed"))?.state === "UNAVAILABLE");
    const line = await indexed("doomed");
    assert.match(line?.reason ?? "", /died|crash/i);
    await assert.rejects(sum("doomed"), (error: unknown) => error instanceof StatusError && (error.code === "UNAVAILABLE" || error.code === "NOT_FOUND"));
    assert.equal(await sum("good"), 42);

    ended = true;
    await killer;
    await until(() => sum("doomed").then((value) => value === 42, () => false));
    await platform.client.deployments.undeploy("doomed");
  });

  it("and runs without end is stopped at the bound, is started again, and keeps nobody else waiting", async () => {
    await platform.client.deployments.deploy({ model: "square" });
    await sized("square", 3);

    const endless = sized("square", 9_000).then(() => "answered", reasonOf);
    let done = false;
    void endless.finally(() => (done = true));
    let served = 0;
    while (!done) {
      assert.equal(await sum("good"), 42);
      served++;
    }

    assert.equal(await endless, "ENGINE_TIMEOUT");
    assert.ok(served > 10, `${served} calls of another model were answered meanwhile`);
    await until(() => sized("square", 3).then(({ outputs }) => elementsOf(outputs["SUM"] as Tensor)[0] === 27, () => false));
  });

  it("and asks for more memory than the machine has fails that call, and its engine goes on", { skip: NEEDS_PRLIMIT }, async () => {
    await platform.client.deployments.deploy({ model: "zeros" });

    for (const size of [2 ** 29, 2 ** 33, 2 ** 40, 2 ** 62]) {
      await assert.rejects(sized("zeros", size), (error: unknown) => error instanceof StatusError && ["ENGINE_OUT_OF_MEMORY", "INFERENCE_FAILED"].includes(error.reason), String(size));
    }

    const { outputs } = await sized("zeros", 3);
    assert.deepEqual(outputs["ZEROS"]?.shape, [3]);
    for (const pid of engines()) assert.ok(residentBytes(pid) < ENGINE_BYTES_MAX);
    assert.equal(await sum("good"), 42);
  });

  it("and answers more than a message may hold fails that call, not the service", async () => {
    await assert.rejects(sized("zeros", 18_000_000), (error: unknown) => error instanceof StatusError && error.code === "RESOURCE_EXHAUSTED");

    assert.equal(await sum("good"), 42);
    assert.deepEqual((await sized("zeros", 2)).outputs["ZEROS"]?.shape, [2]);
  });
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended meanwhile.
    return "";
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}
