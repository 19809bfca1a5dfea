import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, exitCodeOf, httpStatusOf } from "./index.ts";

describe("status error", () => {
  it("takes its status from the table of reasons", () => {
    const error = new StatusError("MODEL_NOT_FOUND", "no such model", { metadata: { model: "m" } });

    assert.equal(error.code, "NOT_FOUND");
    assert.equal(error.retryable, false);
    assert.deepEqual(error.metadata, { model: "m" });
  });

  it("hides what an unknown error says and keeps it as the cause", () => {
    const secret = new Error("password is hunter2");

    const error = StatusError.from(secret);

    assert.equal(error.reason, "INTERNAL");
    assert.doesNotMatch(error.message, /hunter2/);
    assert.equal(error.cause, secret);
  });

  const cases = [
    { thrown: Object.assign(new Error("x"), { name: "AbortError" }), reason: "CANCELLED" },
    { thrown: Object.assign(new Error("x"), { name: "TimeoutError" }), reason: "DEADLINE_EXCEEDED" },
    { thrown: Object.assign(new Error("x"), { code: "ENOSPC" }), reason: "DISK_FULL" },
    { thrown: "a string", reason: "INTERNAL" },
  ];
  for (const { thrown, reason } of cases) {
    it(`turns ${String(thrown)} into ${reason}`, () => {
      assert.equal(StatusError.from(thrown).reason, reason);
    });
  }

  it("maps to HTTP and exit codes", () => {
    assert.equal(httpStatusOf(new StatusError("MODEL_NOT_FOUND", "x")), 404);
    assert.equal(httpStatusOf(new StatusError("MESSAGE_TOO_LARGE", "x")), 413);
    assert.equal(exitCodeOf(new StatusError("PORT_IN_USE", "x")), 69);
    assert.equal(exitCodeOf(new StatusError("DATA_DIR_NEWER", "x")), 78);
  });
});
