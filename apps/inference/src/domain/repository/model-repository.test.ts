import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { AssignmentSchema, type Assignment } from "@servable/contracts/registry/v1/deployment";
import { StatusError, type Reason } from "@servable/errors";
import type { Executor, InferContext, InferRequest } from "../executors/executor.ts";
import type { VersionSpec } from "./loaded-model.ts";
import { MemoryBudget } from "./memory-budget.ts";
import { ModelRepository } from "./model-repository.ts";
import { Residency } from "./residency.ts";

const reason = (want: Reason, says: RegExp) => (error: unknown) => error instanceof StatusError && error.reason === want && says.test(error.message);

function assignment(version: number, change: Partial<{ deployment: string; etag: string; servingConfigJson: string }> = {}): Assignment {
  const tensor = { datatype: "INT32", shape: [-1n, 2n], dimensionNames: ["n", ""] };
  return create(AssignmentSchema, {
    deployment: change.deployment ?? "projects/p/deployments/m",
    etag: change.etag ?? `e${version}`,
    servingConfigJson: change.servingConfigJson ?? "",
    modelVersion: { number: BigInt(version), signature: { inputs: [{ name: "x", ...tensor }], outputs: [{ name: "y", ...tensor }] } },
  });
}

const REQUEST: InferRequest = { id: "", inputs: [], outputs: [], batchSize: 1, parameters: new Map(), priority: 0, queueTimeoutUs: 0, sequence: undefined };
const CONTEXT: InferContext = { signal: new AbortController().signal, deadline: undefined, project: "p", requestId: "r" };

/** What a model without files is reckoned to take. */
const MODEL_BYTES = 32 * 1024 ** 2;
const ON_DEMAND = '{"parameters":{"servable.load":{"string_value":"on-demand"}}}';

/** A repository over engines that start when the test says so. */
function harness(budgetBytes = 0) {
  const clock = { nowMs: 1_000_000 };
  const budget = new MemoryBudget({ budgetBytes, waitMsMax: 5_000, now: () => clock.nowMs });
  const starts = new Map<string, PromiseWithResolvers<void>>();
  const running = new Set<string>();
  const keyOf = ({ name, version, etag }: VersionSpec): string => `${name}/${version}/${etag}`;
  const start = (key: string): PromiseWithResolvers<void> => {
    const entry = starts.get(key) ?? Promise.withResolvers<void>();
    starts.set(key, entry);
    return entry;
  };
  const hold = { run: Promise.resolve() };
  const repository = new ModelRepository({
    fetchModel: async () => "/model.onnx",
    residency: new Residency({ budget, measureBytes: async () => undefined }),
    createExecutor: async (_folder, spec) => {
      await start(keyOf(spec)).promise;
      running.add(keyOf(spec));
      const executor: Executor = {
        pids: [1],
        restartCount: 0,
        queueLength: 0,
        infer: async () => {
          await hold.run;
          return { outputs: [], timings: { queueNs: 0, inputNs: 1, inferNs: 2, outputNs: 3, executedBatchSize: 1, countsExecution: true } };
        },
        [Symbol.asyncDispose]: async () => void running.delete(keyOf(spec)),
      };
      return executor;
    },
    observe: () => {},
    drainMs: 60_000,
    retryMs: 60_000,
  });
  const states = (): string[] => repository.all().map(({ spec, state }) => `${spec.version} ${state}`);
  return { repository, start, running, states, hold, budget, clock };
}

describe("model repository", () => {
  it("serves the old version while the new one loads, then drains it and frees its engine", async () => {
    const { repository, start, running, states, hold } = harness();
    start("m/1/e1").resolve();
    await repository.apply([assignment(1)]);
    const answer = Promise.withResolvers<void>();
    hold.run = answer.promise;

    const inFlight = repository.resolve("p", "m", "").infer(REQUEST, CONTEXT);
    const applied = repository.apply([assignment(2)]);
    assert.equal(repository.resolve("p", "m", "").spec.version, 1);
    start("m/2/e2").resolve();
    while (!states().includes("1 UNLOADING")) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(repository.resolve("p", "m", "").spec.version, 2);
    assert.deepEqual([...running], ["m/1/e1", "m/2/e2"]);

    answer.resolve();
    await inFlight;
    await applied;
    assert.deepEqual([states(), [...running]], [["2 READY"], ["m/2/e2"]]);
  });

  it("keeps what serves when its reload fails, and says why", async () => {
    const { repository, start, running, states } = harness();
    start("m/1/e1").resolve();
    await repository.apply([assignment(1)]);

    await repository.apply([assignment(1, { etag: "new", servingConfigJson: '{"max_batch_size": "many"}' })]);

    assert.deepEqual([states(), [...running]], [["1 READY"], ["m/1/e1"]]);
    assert.match(repository.all()[0]?.message ?? "", /failed to load 'm': the serving configuration is no ModelConfig/);
  });

  it("holds one version's failure away from the others", async () => {
    const { repository, start, states } = harness();
    start("m/1/e1").reject(new StatusError("MODEL_LOAD_FAILED", "broken"));
    start("n/1/e1").resolve();

    await repository.apply([assignment(1), assignment(1, { deployment: "projects/p/deployments/n" })]);

    assert.deepEqual(states(), ["1 FAILED", "1 READY"]);
    await assert.rejects(repository.resolve("p", "m", "").infer(REQUEST, CONTEXT), reason("MODEL_NOT_READY", /FAILED: failed to load 'm': broken/));
  });

  it("lets no model wait for another that loads slowly", async () => {
    const { repository, start, states } = harness();
    void repository.apply([assignment(1)]);
    start("n/1/e1").resolve();

    void repository.apply([assignment(1), assignment(1, { deployment: "projects/p/deployments/n" })]);

    while (!states().includes("1 READY")) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(repository.resolve("p", "n", "").state, "READY");
    assert.equal(repository.resolve("p", "m", "").state, "LOADING");
    start("m/1/e1").resolve();
  });

  it("answers for models that it does not hold in the words that clients know", async () => {
    const { repository, start } = harness();
    start("m/1/e1").resolve();
    await repository.apply([assignment(1)]);

    assert.throws(() => repository.resolve("p", "other", ""), reason("MODEL_NOT_FOUND", /^Request for unknown model: 'other' is not found/));
    assert.throws(() => repository.resolve("q", "m", ""), reason("MODEL_NOT_FOUND", /'m' is not found/));
    assert.throws(() => repository.resolve("p", "m", "99"), reason("MODEL_NOT_FOUND", /version 99 is not found/));
    assert.throws(() => repository.resolve("p", "m", "one"), reason("FIELD_INVALID", /failed to get model version from specified version string 'one'/));
  });

  it("follows the newest assignments when others came meanwhile", async () => {
    const { repository, start, states, running } = harness();
    for (const key of ["m/1/e1", "m/2/e2", "m/3/e3"]) start(key).resolve();

    await Promise.all([repository.apply([assignment(1)]), repository.apply([assignment(2)]), repository.apply([assignment(3)])]);

    assert.deepEqual([states(), [...running]], [["3 READY"], ["m/3/e3"]]);
    await repository.close();
    assert.deepEqual([...running], []);
  });

  it("leaves a model that is loaded on demand on disk until its first call, and loads it once for many", async () => {
    const { repository, start, running, states } = harness();
    await repository.apply([assignment(1, { servingConfigJson: ON_DEMAND })]);
    assert.deepEqual([states(), [...running]], [["1 IDLE"], []]);

    const model = repository.resolve("p", "m", "");
    const calls = Array.from({ length: 20 }, () => model.infer(REQUEST, CONTEXT));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([states(), model.isServing, model.inFlight], [["1 LOADING"], true, 20]);
    start("m/1/e1").resolve();

    assert.equal((await Promise.all(calls)).length, 20);
    assert.deepEqual([states(), [...running], model.inFlight], [["1 READY"], ["m/1/e1"], 0]);
  });

  it("lets a caller leave while its model loads, and loads on for the others", async () => {
    const { repository, start, states } = harness();
    await repository.apply([assignment(1, { servingConfigJson: ON_DEMAND })]);
    const model = repository.resolve("p", "m", "");
    const abort = new AbortController();
    const [left, stays] = [model.infer(REQUEST, { ...CONTEXT, signal: abort.signal }), model.infer(REQUEST, CONTEXT)];

    abort.abort(new DOMException("gone", "AbortError"));

    await assert.rejects(left, (error) => error instanceof StatusError && error.code === "CANCELLED");
    start("m/1/e1").resolve();
    await stays;
    assert.deepEqual([states(), model.inFlight], [["1 READY"], 0]);
  });

  it("keeps as many models in memory as fit, and answers calls to all of them", async () => {
    const { repository, start, running, clock } = harness(2 * MODEL_BYTES);
    const names = ["a", "b", "c", "d"];
    for (const name of names) start(`${name}/1/e1`).resolve();
    await repository.apply(names.map((name) => assignment(1, { deployment: `projects/p/deployments/${name}` })));
    assert.equal(running.size, 2);

    for (let round = 0; round < 3; round++) {
      for (const name of names) {
        clock.nowMs += 1_000;
        await repository.resolve("p", name, "").infer(REQUEST, CONTEXT);
        assert.ok(running.has(`${name}/1/e1`) && running.size <= 2);
      }
    }
  });

  it("sends no model away that answers a request", async () => {
    const { repository, start, running, hold, clock } = harness(MODEL_BYTES);
    for (const name of ["a", "b"]) start(`${name}/1/e1`).resolve();
    await repository.apply(["a", "b"].map((name) => assignment(1, { deployment: `projects/p/deployments/${name}` })));
    const answer = Promise.withResolvers<void>();
    hold.run = answer.promise;

    const first = repository.resolve("p", "a", "").infer(REQUEST, CONTEXT);
    clock.nowMs += 1_000;
    const second = repository.resolve("p", "b", "").infer(REQUEST, CONTEXT);
    await new Promise((resolve) => setTimeout(resolve, 60));
    assert.deepEqual([...running], ["a/1/e1"]);
    answer.resolve();

    await Promise.all([first, second]);
    assert.deepEqual([...running], ["b/1/e1"]);
  });

  it("names the bytes of a model that will never fit", async () => {
    const { repository, states } = harness(MODEL_BYTES - 1);

    await repository.apply([assignment(1), assignment(1, { deployment: "projects/p/deployments/n", servingConfigJson: ON_DEMAND })]);

    assert.equal(states()[0], "1 FAILED");
    assert.match(repository.all()[0]?.message ?? "", /failed to load 'm': 'm' needs about 33554432 bytes of memory, 33554431 of 33554431 are there/);
    await assert.rejects(repository.resolve("p", "n", "").infer(REQUEST, CONTEXT), (error) => error instanceof StatusError && error.reason === "MODEL_TOO_LARGE" && error.code === "RESOURCE_EXHAUSTED");
  });

  it("says why a model cannot be loaded to whoever asked for it, and to the registry", async () => {
    const { repository, start, states } = harness();
    start("m/1/e1").reject(new StatusError("MODEL_LOAD_FAILED", "broken"));
    await repository.apply([assignment(1, { servingConfigJson: ON_DEMAND })]);

    await assert.rejects(repository.resolve("p", "m", "").infer(REQUEST, CONTEXT), reason("MODEL_LOAD_FAILED", /failed to load 'm': broken/));
    assert.deepEqual(states(), ["1 FAILED"]);
  });

  it("keeps a pinned model in memory whoever else is asked for", async () => {
    const { repository, start, running, clock } = harness(2 * MODEL_BYTES);
    for (const name of ["a", "b", "pinned"]) start(`${name}/1/e1`).resolve();
    const pinned = assignment(1, { deployment: "projects/p/deployments/pinned", servingConfigJson: '{"parameters":{"servable.pinned":{"string_value":"true"}}}' });
    await repository.apply([pinned]);
    await repository.apply([pinned, ...["a", "b"].map((name) => assignment(1, { deployment: `projects/p/deployments/${name}`, servingConfigJson: ON_DEMAND }))]);

    for (const name of ["a", "b", "a", "b"]) {
      clock.nowMs += 1_000;
      await repository.resolve("p", name, "").infer(REQUEST, CONTEXT);
      assert.deepEqual([...running].sort(), [`${name}/1/e1`, "pinned/1/e1"]);
    }
  });

  it("loads the successor of a model in memory before it takes over, although it is one of those loaded on demand", async () => {
    const { repository, start, states } = harness();
    for (const version of [1, 2]) start(`m/${version}/e${version}`).resolve();
    await repository.apply([assignment(1, { servingConfigJson: ON_DEMAND })]);
    await repository.resolve("p", "m", "").infer(REQUEST, CONTEXT);

    await repository.apply([assignment(2, { servingConfigJson: ON_DEMAND })]);

    assert.deepEqual(states(), ["2 READY"]);
  });

  it("refuses settings of residency that it does not know", async () => {
    const { repository } = harness();

    await repository.apply([assignment(1, { servingConfigJson: '{"parameters":{"servable.load":{"string_value":"lazy"}}}' })]);

    assert.match(repository.all()[0]?.message ?? "", /parameters\["servable.load"\] is "lazy": it must be eager or on-demand/);
  });
});
