import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Identity } from "@servable/auth";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State } from "@servable/contracts/registry/v1/model_version";
import { StatusError } from "@servable/errors";
import { createChannel, createClient } from "@servable/grpc";
import { addSubModel, tempDir } from "@servable/testing";
import { startServer } from "../src/index.ts";
import { createValidator } from "../src/worker/validator-process.ts";

const identity: Identity = { project: "p", principal: "projects/p/apiKeys/k", role: "developer" };
const LIMITS = { timeoutMs: 30_000, memoryBytesMax: 16 * 1024 ** 3 };

describe("a finalize whose caller goes away", () => {
  it("says nothing of the model: the version stays PENDING and can be finalized again", async () => {
    using directory = tempDir();
    const validate = createValidator(LIMITS);
    const begun = Promise.withResolvers<void>();
    const first = Promise.withResolvers<unknown>();
    await using server = await startServer(
      {
        listen: `unix:${join(directory.path, "r.sock")}`,
        databaseUrl: `sqlite:${join(directory.path, "r.db")}`,
        blobDir: join(directory.path, "blobs"),
        internalToken: "t",
        artifactBytesMax: 10_000_000,
        validationTimeoutMs: LIMITS.timeoutMs,
        validationMemoryBytesMax: LIMITS.memoryBytesMax,
        replicaLeaseMs: 10_000,
      },
      {
        validate: (path, signal) => {
          const checked = validate(path, signal);
          begun.resolve();
          checked.then(first.resolve, first.resolve);
          return checked;
        },
      },
    );
    const channel = createChannel(server.address, { token: "t" });
    const registry = createClient(ModelRegistryService, channel, { identity });
    await registry.createModel({ parent: "projects/p", modelId: "m" });
    const { name } = await registry.createModelVersion({ parent: "projects/p/models/m" });
    await registry.uploadArtifact([{ payload: { case: "head", value: { modelVersion: name, path: "model.onnx" } } }, { payload: { case: "chunk", value: addSubModel() } }]);
    const caller = new AbortController();

    const call = registry.finalizeModelVersion({ name }, { signal: caller.signal });
    await begun.promise;
    caller.abort();

    await assert.rejects(call, (error) => error instanceof StatusError && error.reason === "CANCELLED");
    const outcome = await first.promise;
    assert.ok(outcome instanceof StatusError && outcome.reason === "CANCELLED", JSON.stringify(outcome));
    assert.equal((await registry.getModelVersion({ name })).state, ModelVersion_State.PENDING);
    assert.equal((await registry.finalizeModelVersion({ name })).state, ModelVersion_State.READY);
    channel.close();
  });
});
