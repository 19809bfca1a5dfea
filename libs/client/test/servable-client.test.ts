import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Deployment_State } from "@servable/contracts/registry/v1/deployment";
import { ModelVersion_State } from "@servable/contracts/registry/v1/model_version";
import { Dataset_Format } from "@servable/contracts/training/v1/dataset";
import { TrainingJob_State } from "@servable/contracts/training/v1/training_job";
import { StatusError, type Reason } from "@servable/errors";
import { elementsOf, tensorOf } from "@servable/tensor";
import { tempDir } from "@servable/testing";
import { ServableClient } from "../src/index.ts";
import { startFakePlatform } from "./fake-platform.ts";

const RETRY = { firstWaitMs: 1, waitMsMax: 2 };
const MEGABYTE = 1024 * 1024;
const because = (reason: Reason) => (error: unknown) => error instanceof StatusError && error.reason === reason;
const away = (): never => {
  throw new StatusError("REPLICA_UNAVAILABLE", "away");
};

describe("client", () => {
  it("sends its key with every call and gives the server's reason back", async () => {
    await using platform = await startFakePlatform({
      registry: {
        getModel: () => {
          throw new StatusError("MODEL_NOT_FOUND", "there is no such model", { metadata: { model: "m" } });
        },
      },
    });
    using client = new ServableClient({ address: platform.address, apiKey: "sv_key", retry: RETRY });

    await assert.rejects(client.models.get("m"), (error) => error instanceof StatusError && error.reason === "MODEL_NOT_FOUND" && error.metadata["model"] === "m");
    assert.deepEqual(platform.calls, ["GetModel Bearer sv_key"]);
  });

  it("reads lists to their end and repeats a page that was UNAVAILABLE", async () => {
    let away1 = true;
    await using platform = await startFakePlatform({
      registry: {
        listModels: ({ pageToken }) => {
          if (pageToken === "2" && away1) {
            away1 = false;
            return away();
          }
          return pageToken === "" ? { models: [{ name: "projects/p/models/a" }], nextPageToken: "2" } : { models: [{ name: "projects/p/models/b" }] };
        },
      },
    });
    using client = new ServableClient({ address: platform.address, project: "p", retry: RETRY });

    const models = await client.models.list();

    assert.deepEqual(models.map(({ name }) => name), ["projects/p/models/a", "projects/p/models/b"]);
    assert.equal(platform.calls.length, 3);
  });
});

describe("import of a file", () => {
  it("uploads in chunks of at most 1 MiB with digest and size, and waits for the check", async () => {
    using dir = tempDir();
    const file = join(dir.path, "m.onnx");
    const bytes = Buffer.alloc(2.5 * MEGABYTE, 7);
    writeFileSync(file, bytes);
    const sizes: number[] = [];
    let head: unknown;
    await using platform = await startFakePlatform({
      registry: {
        createModel: () => ({}),
        createModelVersion: ({ parent }) => ({ name: `${parent}/versions/1`, number: 1n }),
        uploadArtifact: async (requests) => {
          for await (const { payload } of requests) {
            if (payload.case === "head") head = { path: payload.value.path, sha256: payload.value.sha256, sizeBytes: payload.value.sizeBytes };
            if (payload.case === "chunk") sizes.push(payload.value.length);
          }
          return {};
        },
        finalizeModelVersion: ({ name }) => ({ name, number: 1n, state: ModelVersion_State.READY }),
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });
    const progress: number[] = [];

    const version = await client.models.importFile({ model: "m", file, onProgress: (sent) => progress.push(sent) });

    assert.equal(version.name, "projects/default/models/m/versions/1");
    assert.deepEqual(head, { path: "model.onnx", sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: BigInt(bytes.length) });
    assert.ok(sizes.every((size) => size <= MEGABYTE));
    assert.equal(sizes.reduce((sum, size) => sum + size, 0), bytes.length);
    assert.equal(progress.at(-1), bytes.length);
  });

  it("leaves nothing behind when the file is refused", async () => {
    using dir = tempDir();
    const file = join(dir.path, "m.onnx");
    writeFileSync(file, "no model");
    const deleted: string[] = [];
    await using platform = await startFakePlatform({
      registry: {
        createModel: () => ({}),
        createModelVersion: ({ parent }) => ({ name: `${parent}/versions/1` }),
        uploadArtifact: async (requests) => {
          for await (const _ of requests);
          return {};
        },
        finalizeModelVersion: ({ name }) => ({ name, state: ModelVersion_State.FAILED, failureReason: "MODEL_NOT_ONNX", failureMessage: "export it first" }),
        deleteModelVersion: ({ name }) => {
          deleted.push(name);
          return {};
        },
        deleteModel: ({ name }) => {
          deleted.push(name);
          return {};
        },
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    await assert.rejects(client.models.importFile({ model: "m", file }), because("MODEL_NOT_ONNX"));
    assert.deepEqual(deleted, ["projects/default/models/m/versions/1", "projects/default/models/m"]);
  });

  it("names a file that is not there before it makes anything", async () => {
    await using platform = await startFakePlatform({});
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    await assert.rejects(client.models.importFile({ model: "m", file: "/nonexistent.onnx" }), because("FIELD_INVALID"));
    assert.deepEqual(platform.calls, []);
  });
});

describe("deploy", () => {
  const states = [{ state: Deployment_State.PENDING }, { state: Deployment_State.READY, readyVersions: [1n] }];

  it("takes a broken watch up again and waits until the gateway has the route", async () => {
    let watches = 0;
    let asked = 0;
    await using platform = await startFakePlatform({
      deployments: {
        createDeployment: () => ({}),
        async *watchDeployment() {
          watches += 1;
          if (watches === 1) away();
          yield* states;
        },
      },
      inference: {
        modelReady: () => {
          asked += 1;
          return { ready: asked === 3 };
        },
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    const deployment = await client.deployments.deploy({ model: "m" });

    assert.deepEqual(deployment.readyVersions, [1n]);
    assert.equal(watches, 2);
    assert.equal(asked, 3);
  });

  it("changes a deployment that is there, and says why it could not be loaded", async () => {
    let written: unknown;
    await using platform = await startFakePlatform({
      deployments: {
        createDeployment: () => {
          throw new StatusError("ALREADY_EXISTS", "there is one");
        },
        getDeployment: ({ name }) => ({ name, model: "projects/default/models/m" }),
        updateDeployment: ({ deployment, updateMask }) => {
          written = { choice: deployment?.versionPolicy?.choice.case, replicas: deployment?.replicaCount, paths: updateMask?.paths };
          return {};
        },
        async *watchDeployment() {
          yield { state: Deployment_State.FAILED, failureMessage: "no kernel for Foo" };
        },
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    await assert.rejects(client.deployments.deploy({ model: "m", version: 2, replicas: 3 }), (error) => because("MODEL_LOAD_FAILED")(error) && (error as Error).message.includes("no kernel for Foo"));
    assert.deepEqual(written, { choice: "specific", replicas: 3, paths: ["version_policy", "replica_count"] });
  });

  it("does not take a name away from another model", async () => {
    await using platform = await startFakePlatform({
      deployments: {
        createDeployment: () => {
          throw new StatusError("ALREADY_EXISTS", "there is one");
        },
        getDeployment: ({ name }) => ({ name, model: "projects/default/models/other" }),
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    await assert.rejects(client.deployments.deploy({ model: "m" }), because("STATE_WRONG"));
  });
});

describe("training", () => {
  it("uploads files by role, each with its digest", async () => {
    using dir = tempDir();
    const file = join(dir.path, "d.csv");
    writeFileSync(file, "a,b\n1,2\n");
    const seen: unknown[] = [];
    await using platform = await startFakePlatform({
      training: {
        uploadDataset: async (requests) => {
          for await (const { payload } of requests) seen.push(payload.case === "chunk" ? new TextDecoder().decode(payload.value) : payload.case === "file" ? payload.value.role : payload.value?.datasetId);
          return { name: "projects/default/datasets/d" };
        },
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    await client.datasets.upload({ dataset: "d", format: Dataset_Format.CSV, files: { data: file } });

    assert.deepEqual(seen, ["d", "data", "a,b\n1,2\n"]);
  });

  it("shows each event once although the stream broke in the middle", async () => {
    const asked: bigint[] = [];
    await using platform = await startFakePlatform({
      training: {
        async *watchTrainingJob({ afterOffset }) {
          asked.push(afterOffset);
          if (afterOffset === 0n) {
            yield { offset: 1n, event: { case: "progress", value: { step: 10n } } };
            away();
          }
          yield { offset: 1n, event: { case: "progress", value: { step: 10n } } };
          yield { offset: 2n, event: { case: "stateChanged", value: { state: TrainingJob_State.SUCCEEDED } } };
        },
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    const offsets: bigint[] = [];
    for await (const { offset } of client.training.watch("j")) offsets.push(offset);

    assert.deepEqual(offsets, [1n, 2n]);
    assert.deepEqual(asked, [0n, 1n]);
  });

  it("repeats a creation under one request id", async () => {
    const ids: string[] = [];
    await using platform = await startFakePlatform({
      training: {
        createTrainingJob: ({ requestId }) => {
          ids.push(requestId);
          return ids.length === 1 ? away() : { name: "projects/default/trainingJobs/j" };
        },
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    await client.training.create({ dataset: "d", model: "m", spec: {} });

    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
    assert.match(ids[0] ?? "", /^[0-9a-f-]{36}$/);
  });
});

describe("inference", () => {
  it("sends raw tensors and reads raw and typed answers", async () => {
    await using platform = await startFakePlatform({
      inference: {
        modelInfer: ({ modelName, inputs, rawInputContents }) => ({
          modelName,
          modelVersion: "1",
          outputs: [
            { name: "SAME", datatype: inputs[0]?.datatype ?? "", shape: inputs[0]?.shape ?? [] },
            { name: "TYPED", datatype: "INT64", shape: [1n], contents: { int64Contents: [9_007_199_254_740_993n] } },
          ],
          rawOutputContents: rawInputContents,
        }),
      },
    });
    using client = new ServableClient({ address: platform.address, retry: RETRY });

    const { version, outputs } = await client.inference.infer({ model: "m", inputs: { X: tensorOf("FP32", [2], [1.5, -2]) } });

    assert.equal(version, "1");
    assert.deepEqual(outputs["SAME"] && elementsOf(outputs["SAME"]), [1.5, -2]);
    assert.deepEqual(outputs["TYPED"] && elementsOf(outputs["TYPED"]), [9_007_199_254_740_993n]);
  });
});
