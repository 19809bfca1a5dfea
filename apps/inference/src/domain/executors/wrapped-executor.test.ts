import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Executor } from "./executor.ts";
import { WrappedExecutor } from "./wrapped-executor.ts";

describe("an executor around another", () => {
  it("asks the one inside for all but the answers, its sequences included: they must not be evicted under it", async () => {
    let isDisposed = false;
    const inner: Executor = {
      pids: [7],
      restartCount: 2,
      queueLength: 3,
      sequenceCount: 4,
      holdsSequence: (id) => id === "s",
      infer: () => Promise.reject(new Error("not asked")),
      [Symbol.asyncDispose]: async () => void (isDisposed = true),
    };
    class Around extends WrappedExecutor {
      infer(): ReturnType<Executor["infer"]> {
        return Promise.reject(new Error("not asked"));
      }
    }
    const around = new Around(inner);

    assert.deepEqual([around.pids, around.restartCount, around.queueLength, around.sequenceCount], [[7], 2, 3, 4]);
    assert.deepEqual([around.holdsSequence("s"), around.holdsSequence("t")], [true, false]);
    await around[Symbol.asyncDispose]();
    assert.ok(isDisposed);
  });
});
