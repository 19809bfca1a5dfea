import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { toBinary } from "@bufbuild/protobuf";
import type { Identity } from "@servable/auth";
import { DeploymentService, VersionStatus_State } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State } from "@servable/contracts/registry/v1/model_version";
import { StatusError, type Reason } from "@servable/errors";
import { createChannel, createClient, type Channel } from "@servable/grpc";
import { Graph, ModelProtoSchema, add, buildModel, inlineBytes, largeInitializers, moveToFile, readModel } from "@servable/onnx";
import { addSubModel, tempDir } from "@servable/testing";
import { startServer, type RegistryServer } from "../src/index.ts";

const developer: Identity = { project: "p", principal: "projects/p/apiKeys/k", role: "developer" };
const system: Identity = { project: "default", principal: "services/inference", role: "admin" };
const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && (assert.equal(error.reason, want, error.message), true);

/** y = x + w with the weight in a file of its own. */
function modelWithFile(location: string): { model: Uint8Array; weights: Uint8Array } {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["batch", 4]);
  const w = graph.constant("FP32", [4], [1, 2, 3, 4]);
  const model = readModel(buildModel({ graph, outputs: { y: add(graph, x, w) } }));
  const [tensor] = largeInitializers(model, 1);
  assert(tensor);
  const weights = inlineBytes(tensor);
  assert(weights);
  moveToFile(tensor, location, weights.length);
  return { model: toBinary(ModelProtoSchema, model), weights };
}

describe("versions that come from elsewhere", () => {
  const directory = tempDir();
  let server: RegistryServer;
  let channel: Channel;
  const registry = () => createClient(ModelRegistryService, channel, { identity: developer });
  const deployments = (identity = developer) => createClient(DeploymentService, channel, { identity });
  const model = async (id: string) => (await registry().createModel({ parent: "projects/p", modelId: id })).name;
  const upload = (modelVersion: string, path: string, bytes: Uint8Array) =>
    registry().uploadArtifact([{ payload: { case: "head", value: { modelVersion, path, sha256: createHash("sha256").update(bytes).digest("hex") } } }, { payload: { case: "chunk", value: bytes } }]);

  before(async () => {
    server = await startServer({ listen: `unix:${join(directory.path, "r.sock")}`, databaseUrl: `sqlite:${join(directory.path, "r.db")}`, blobDir: join(directory.path, "blobs"), internalToken: "t", artifactBytesMax: 10_000_000, validationTimeoutMs: 30_000, validationMemoryBytesMax: 16 * 1024 ** 3, replicaLeaseMs: 10_000 });
    channel = createChannel(server.address, { token: "t" });
  });
  after(async () => {
    channel.close();
    await server[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  it("keep the numbers that they have, as long as none is given twice", async () => {
    const parent = await model("numbered");
    const create = async (versionNumber: bigint) => Number((await registry().createModelVersion({ parent, versionNumber })).number);

    assert.deepEqual([await create(3n), await create(20240101n), await create(0n)], [3, 20240101, 20240102]);
    await assert.rejects(create(3n), reason("ALREADY_EXISTS"));
    await assert.rejects(create(20240102n), reason("ALREADY_EXISTS"));
    await assert.rejects(create(-1n), reason("FIELD_INVALID"));
  });

  it("may have their weights in files of their own, which are checked with the model and leave nothing behind", async () => {
    const { model: bytes, weights } = modelWithFile("data/w.bin");
    const abandoned = join(directory.path, "blobs/checks/version-abandoned");
    mkdirSync(abandoned, { recursive: true });
    utimesSync(abandoned, new Date(0), new Date(0));
    const { name } = await registry().createModelVersion({ parent: await model("external") });
    await upload(name, "model.onnx", bytes);
    await upload(name, "data/w.bin", weights);

    const ready = await registry().finalizeModelVersion({ name });

    assert.equal(ready.state, ModelVersion_State.READY, ready.failureMessage);
    assert.deepEqual(ready.artifacts.map(({ path }) => path), ["data/w.bin", "model.onnx"]);
    assert.deepEqual(readdirSync(join(directory.path, "blobs/checks")), []);
  });

  const broken = [
    { what: "a file that was not uploaded", location: "data/w.bin", path: "other.bin", bytes: undefined, want: /"data\/w.bin", which is not part of the version/ },
    { what: "a file outside", location: "../../../etc/passwd", path: "w.bin", bytes: undefined, want: /is not part of the version/ },
    { what: "more bytes than the file has", location: "w.bin", path: "w.bin", bytes: new Uint8Array(15), want: /points at bytes that "w.bin" does not have/ },
  ];
  for (const [index, { what, location, path, bytes, want }] of broken.entries()) {
    it(`are refused when their weights point at ${what}`, async () => {
      const external = modelWithFile(location);
      const { name } = await registry().createModelVersion({ parent: await model(`broken-${index}`) });
      await upload(name, "model.onnx", external.model);
      await upload(name, path, bytes ?? external.weights);

      const failed = await registry().finalizeModelVersion({ name });

      assert.deepEqual([failed.state, failed.failureReason], [ModelVersion_State.FAILED, "MODEL_REFUSED"]);
      assert.match(failed.failureMessage, want);
    });
  }

  it("need no model file when they are ensembles: what they take and give is in their configuration", async () => {
    const servingConfigJson = JSON.stringify({
      platform: "ensemble", max_batch_size: 8,
      input: [{ name: "TEXT", data_type: "TYPE_STRING", dims: [1] }], output: [{ name: "SCORES", data_type: "TYPE_FP32", dims: [-1, 4] }],
      ensemble_scheduling: { step: [{ model_name: "a", model_version: -1 }] },
    });
    const { name } = await registry().createModelVersion({ parent: await model("Ensemble.v1"), modelVersion: { servingConfigJson } });

    const ready = await registry().finalizeModelVersion({ name });

    assert.equal(ready.state, ModelVersion_State.READY, ready.failureMessage);
    assert.deepEqual([...(ready.signature?.inputs ?? []), ...(ready.signature?.outputs ?? [])].map((spec) => [spec.name, spec.datatype, spec.shape.map(Number)]), [["TEXT", "BYTES", [-1, 1]], ["SCORES", "FP32", [-1, -1, 4]]]);
  });

  it("are FAILED as ensembles without outputs, and wait for a file when they are none", async () => {
    const parent = await model("incomplete");
    const step = { ensemble_scheduling: { step: [{ model_name: "a" }] } };
    const ensemble = await registry().createModelVersion({ parent, modelVersion: { servingConfigJson: JSON.stringify({ input: [{ name: "i", data_type: "TYPE_FP32" }], ...step }) } });
    const plain = await registry().createModelVersion({ parent, modelVersion: { servingConfigJson: '{"max_batch_size": 2}' } });

    const failed = await registry().finalizeModelVersion({ name: ensemble.name });

    assert.deepEqual([failed.state, failed.failureMessage], [ModelVersion_State.FAILED, "output: an ensemble must name its outputs"]);
    await assert.rejects(registry().finalizeModelVersion({ name: plain.name }), reason("STATE_WRONG"));
  });

  it("serve all at once, or those that labels point at, and callers may say the label", async () => {
    const parent = await model("many");
    for (const number of [1, 2, 3]) {
      const { name } = await registry().createModelVersion({ parent, versionNumber: BigInt(number) });
      await upload(name, "model.onnx", addSubModel());
      await registry().finalizeModelVersion({ name });
    }
    await registry().setModelAlias({ alias: { name: `${parent}/aliases/stable`, modelVersion: `${parent}/versions/1` } });
    await registry().setModelAlias({ alias: { name: `${parent}/aliases/canary`, modelVersion: `${parent}/versions/3` } });
    const create = (id: string, versionPolicy: object) => deployments().createDeployment({ parent: "projects/p", deploymentId: id, deployment: { model: parent, versionPolicy } });

    const all = await create("all", { choice: { case: "all", value: {} } });
    const labelled = await create("labelled", { choice: { case: "labels", value: { aliases: ["canary", "stable"] } } });

    assert.deepEqual([all.wantedVersions.map(Number), labelled.wantedVersions.map(Number)], [[1, 2, 3], [1, 3]]);
    assert.deepEqual([all.versionPolicy?.choice.case, labelled.versionPolicy?.choice], ["all", labelled.versionPolicy?.choice]);
    await deployments(system).reportReplica({ replica: { replicaId: "r", address: "a:1" }, statuses: [1n, 3n].map((version) => ({ deployment: labelled.name, version, state: VersionStatus_State.READY })) });
    for await (const { routes } of deployments(system).watchRoutingTable({})) {
      assert.deepEqual(routes.map(({ version, aliases, defaultVersion }) => [Number(version), aliases, defaultVersion]), [[1, ["stable"], false], [3, ["canary"], true]]);
      break;
    }
    for await (const { assignments } of deployments(system).watchAssignments({ replicaId: "r" })) {
      assert.deepEqual(assignments.map(({ deployment, modelVersion, aliases }) => [deployment.split("/").at(-1), Number(modelVersion?.number), aliases]), [["all", 1, ["stable"]], ["all", 2, []], ["all", 3, ["canary"]], ["labelled", 1, ["stable"]], ["labelled", 3, ["canary"]]]);
      break;
    }
    await assert.rejects(registry().deleteModelAlias({ name: `${parent}/aliases/canary` }), reason("RESOURCE_IN_USE"));
    await assert.rejects(create("none", { choice: { case: "labels", value: { aliases: ["nobody"] } } }), reason("STATE_WRONG"));
    await assert.rejects(create("empty", { choice: { case: "labels", value: { aliases: [] } } }), reason("FIELD_INVALID"));
  });
});
