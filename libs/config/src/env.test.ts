import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { readEnv } from "./index.ts";

describe("environment reader", () => {
  it("reads each kind and falls back when a variable is absent or empty", () => {
    const env = readEnv({ PORT: "80", SIZE: "16MiB", WAIT: "10s", MODE: "none", EMPTY: "" });

    assert.equal(env.port("PORT", 1), 80);
    assert.equal(env.bytes("SIZE", 1), 16 * 1024 * 1024);
    assert.equal(env.durationMs("WAIT", 1), 10_000);
    assert.equal(env.oneOf("MODE", ["keys", "none"], "keys"), "none");
    assert.equal(env.string("EMPTY", "fallback"), "fallback");
    assert.equal(env.optional("ABSENT"), undefined);
  });

  const wrong = [
    { name: "PORT", value: "70000", read: (env: ReturnType<typeof readEnv>) => env.port("PORT", 1) },
    { name: "SIZE", value: "12 parsecs", read: (env: ReturnType<typeof readEnv>) => env.bytes("SIZE", 1) },
    { name: "WAIT", value: "10", read: (env: ReturnType<typeof readEnv>) => env.durationMs("WAIT", 1) },
    { name: "MODE", value: "off", read: (env: ReturnType<typeof readEnv>) => env.oneOf("MODE", ["keys", "none"], "keys") },
  ];
  for (const { name, value, read } of wrong) {
    it(`names ${name} when it holds "${value}"`, () => {
      assert.throws(
        () => read(readEnv({ [name]: value })),
        (error: unknown) => error instanceof StatusError && error.reason === "CONFIG_INVALID" && error.metadata["variable"] === name,
      );
    });
  }
});
