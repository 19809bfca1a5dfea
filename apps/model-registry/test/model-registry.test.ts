import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Identity } from "@servable/auth";
import { DeploymentService, Deployment_State, VersionStatus_State } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { ModelVersion_State, type ModelVersion } from "@servable/contracts/registry/v1/model_version";
import { StatusError, type Reason } from "@servable/errors";
import { createChannel, createClient, type Channel } from "@servable/grpc";
import { Graph, buildModel } from "@servable/onnx";
import { addSubModel, tempDir, testDatabases } from "@servable/testing";
import { startServer, type RegistryConfig, type RegistryServer } from "../src/index.ts";

const TOKEN = "t";
const developer: Identity = { project: "p", principal: "projects/p/apiKeys/k", role: "developer" };
const system: Identity = { project: "default", principal: "services/inference", role: "admin" };
const reason = (want: Reason) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want, error.message);
  return true;
};

const { databases, stop } = await testDatabases();
after(stop);
for (const database of databases) {
  describe(`model-registry on ${database.name}`, { skip: database.skip }, () => {
    const directory = tempDir();
    let config: RegistryConfig;
    let server: RegistryServer;
    let channel: Channel;
    const registry = (identity: Identity = developer) => createClient(ModelRegistryService, channel, { identity });
    const deployments = (identity: Identity = developer) => createClient(DeploymentService, channel, { identity });

    before(async () => {
      config = {
        listen: `unix:${join(directory.path, "r.sock")}`,
        databaseUrl: await database.freshUrl(),
        blobDir: join(directory.path, "blobs"),
        internalToken: TOKEN,
        artifactBytesMax: 10_000_000,
        validationTimeoutMs: 30_000,
        validationMemoryBytesMax: 16 * 1024 ** 3,
        replicaLeaseMs: 10_000,
      };
      server = await startServer(config);
      channel = createChannel(server.address, { token: TOKEN });
    });
    after(async () => {
      channel.close();
      await server[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    });

    const upload = async (version: string, bytes: Uint8Array, sha256 = createHash("sha256").update(bytes).digest("hex")) =>
      registry().uploadArtifact([
        { payload: { case: "head", value: { modelVersion: version, path: "model.onnx", sha256, sizeBytes: BigInt(bytes.length) } } },
        { payload: { case: "chunk", value: bytes.subarray(0, 100) } },
        { payload: { case: "chunk", value: bytes.subarray(100) } },
      ]);
    const model = async (id: string) => (await registry().createModel({ parent: "projects/p", modelId: id, model: {} })).name;
    const version = async (parent: string, bytes: Uint8Array = addSubModel()): Promise<ModelVersion> => {
      const { name } = await registry().createModelVersion({ parent });
      await upload(name, bytes);
      return registry().finalizeModelVersion({ name });
    };

    it("takes a version from PENDING to READY with digest and signature, and gives the bytes back", async () => {
      const ready = await version(await model("simple"));

      assert.equal(ready.state, ModelVersion_State.READY);
      assert.match(ready.digest, /^sha256:[0-9a-f]{64}$/);
      assert.deepEqual(ready.signature?.inputs.map(({ name, datatype, shape }) => [name, datatype, shape.map(Number)]), [["INPUT0", "INT32", [-1, 16]], ["INPUT1", "INT32", [-1, 16]]]);
      const chunks = [];
      for await (const { chunk } of registry().downloadArtifact({ modelVersion: ready.name, path: "model.onnx" })) chunks.push(chunk);
      assert.deepEqual(Buffer.concat(chunks), Buffer.from(addSubModel()));
      assert.equal((await registry().getModel({ name: "projects/p/models/simple" })).latestVersion, 1n);
    });

    it("numbers versions without gaps or repeats, also for callers that come at once", async () => {
      const parent = await model("numbers");

      const made = await Promise.all(Array.from({ length: 10 }, () => registry().createModelVersion({ parent })));

      assert.deepEqual(made.map(({ number }) => Number(number)).sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    });

    it("answers a retried creation with the version of the first call", async () => {
      const parent = await model("retry");
      const requestId = "6f1c1b8e-5a0f-4a53-9c55-0d2b7b1f9a11";

      assert.equal((await registry().createModelVersion({ parent, requestId })).name, (await registry().createModelVersion({ parent, requestId })).name);
    });

    const hostile = [
      { what: "a text file", bytes: Buffer.from("this is a text and no model, whatever its name says ".repeat(4)), want: "MODEL_NOT_ONNX" },
      { what: "a graph that onnxruntime refuses", bytes: brokenGraph(), want: "MODEL_LOAD_FAILED" },
    ];
    for (const { what, bytes, want } of hostile) {
      it(`keeps ${what} as FAILED with the reason, and deploys nothing of it`, async () => {
        const parent = await model(`bad-${want.toLowerCase().replaceAll("_", "-")}`);

        const failed = await version(parent, bytes);

        assert.equal(failed.state, ModelVersion_State.FAILED);
        assert.equal(failed.failureReason, want, failed.failureMessage);
        await assert.rejects(deployments().createDeployment({ parent: "projects/p", deploymentId: "bad", deployment: { model: parent } }), reason("STATE_WRONG"));
        await assert.rejects(registry().finalizeModelVersion({ name: failed.name }), reason("STATE_WRONG"));
      });
    }

    it("keeps nothing of an upload whose digest differs", async () => {
      const { name } = await registry().createModelVersion({ parent: await model("digest") });

      await assert.rejects(upload(name, addSubModel(), "0".repeat(64)), reason("ARTIFACT_DIGEST_MISMATCH"));
      assert.deepEqual((await registry().getModelVersion({ name })).artifacts, []);
    });

    it("moves a guarded alias only to versions whose metrics pass, unless forced, and the event says so", async () => {
      const parent = await model("guarded");
      const measured = async (metrics: Record<string, number>): Promise<ModelVersion> => {
        const { name } = await registry().createModelVersion({ parent, modelVersion: { metrics } });
        await upload(name, addSubModel());
        return registry().finalizeModelVersion({ name });
      };
      const [good, worse, bad, unmeasured] = [await measured({ accuracy: 0.95, rmse: 2 }), await measured({ accuracy: 0.93, rmse: 2 }), await measured({ accuracy: 0.7, rmse: 2 }), await version(parent)];
      await registry().updateModel({ model: { name: parent, promotionGates: [{ alias: "production", rules: [{ metric: "accuracy", min: 0.9, worseningMax: 0.01 }, { metric: "rmse", max: 3 }] }] }, updateMask: { paths: ["promotion_gates"] } });
      const move = (to: ModelVersion, force = false) => registry().setModelAlias({ alias: { name: `${parent}/aliases/production`, modelVersion: to.name }, force });

      await move(good);
      for (const { to, says } of [
        { to: bad, says: /accuracy is 0\.7, at least 0\.9 is asked for/ },
        { to: worse, says: /accuracy is 0\.93, 0\.02 worse than the 0\.95 of version 1, at most 0\.01 is allowed/ },
        { to: unmeasured, says: /it has no metric accuracy/ },
      ]) {
        await assert.rejects(move(to), (error) => reason("PROMOTION_REFUSED")(error) && says.test(String(error)));
      }
      assert.equal((await registry().getModelAlias({ name: `${parent}/aliases/production` })).modelVersion, good.name);
      await registry().setModelAlias({ alias: { name: `${parent}/aliases/staging`, modelVersion: bad.name } });

      await move(bad, true);
      const events = [];
      for await (const event of registry().watchEvents({ parent: "projects/p", afterSequence: 0n })) {
        if (event.resource === `${parent}/aliases/production`) events.push(event);
        if (events.length === 2) break;
      }
      assert.deepEqual([events[0]?.attributes["forced"], events[1]?.attributes["forced"]], [undefined, "true"]);
      assert.match(events[1]?.attributes["violations"] ?? "", /accuracy is 0\.7/);
    });

    it("passes over versions that a gate on deployments refuses", async () => {
      const parent = await model("gated-deployments");
      const { name } = await registry().createModelVersion({ parent, modelVersion: { metrics: { accuracy: 0.95 } } });
      await upload(name, addSubModel());
      await registry().finalizeModelVersion({ name });
      await version(parent);
      await registry().updateModel({ model: { name: parent, promotionGates: [{ deployments: true, rules: [{ metric: "accuracy", min: 0.9 }] }] } });

      const newest = await deployments().createDeployment({ parent: "projects/p", deploymentId: "gated-newest", deployment: { model: parent, versionPolicy: { choice: { case: "latest", value: { versionCount: 1 } } } } });

      assert.deepEqual(newest.wantedVersions, [1n]);
      await assert.rejects(deployments().createDeployment({ parent: "projects/p", deploymentId: "gated-number", deployment: { model: parent, versionPolicy: { choice: { case: "specific", value: { versions: [2n] } } } } }), reason("PROMOTION_REFUSED"));
    });

    for (const { why, gates, field } of [
      { why: "guards nothing", gates: [{ rules: [{ metric: "a", min: 1 }] }], field: "model.promotion_gates[0].alias" },
      { why: "has no rules", gates: [{ alias: "x" }], field: "model.promotion_gates[0].rules" },
      { why: "has a rule without a bound", gates: [{ alias: "x", rules: [{ metric: "a" }] }], field: "model.promotion_gates[0].rules[0]" },
      { why: "nothing can pass", gates: [{ alias: "x", rules: [{ metric: "a", min: 2, max: 1 }] }], field: "model.promotion_gates[0].rules[0].min" },
      { why: "is the alias's second", gates: [{ alias: "x", rules: [{ metric: "a", min: 1 }] }, { alias: "x", rules: [{ metric: "b", min: 1 }] }], field: "model.promotion_gates[1].alias" },
    ]) {
      it(`refuses a gate that ${why}`, async () => {
        await assert.rejects(registry().createModel({ parent: "projects/p", modelId: "never", model: { promotionGates: gates } }), (error) => reason("FIELD_INVALID")(error) && (error as StatusError).metadata["field"] === field);
      });
    }

    it("moves aliases only by whoever saw the last move", async () => {
      const parent = await model("aliased");
      const [one, two] = [await version(parent), await version(parent)];
      const name = `${parent}/aliases/production`;

      const first = await registry().setModelAlias({ alias: { name, modelVersion: one.name }, compareEtag: true });
      const second = await registry().setModelAlias({ alias: { name, modelVersion: two.name, etag: first.etag }, compareEtag: true });
      await assert.rejects(registry().setModelAlias({ alias: { name, modelVersion: one.name, etag: first.etag }, compareEtag: true }), reason("ETAG_MISMATCH"));

      assert.equal((await registry().getModelVersion({ name: `${parent}/versions/production` })).name, two.name);
      await assert.rejects(registry().deleteModelVersion({ name: two.name }), reason("RESOURCE_IN_USE"));
      await registry().deleteModelAlias({ name, etag: second.etag });
      await registry().deleteModelVersion({ name: two.name });
    });

    it("pages lists to their end", async () => {
      for (const id of ["page-1", "page-2", "page-3"]) await model(id);
      const seen: string[] = [];
      let pageToken = "";
      do {
        const page = await registry().listModels({ parent: "projects/p", pageSize: 2, pageToken });
        seen.push(...page.models.map(({ name }) => name));
        ({ nextPageToken: pageToken } = page);
      } while (pageToken !== "");

      assert.deepEqual(seen, [...new Set(seen)].sort());
      assert.ok(seen.includes("projects/p/models/page-3"));
    });

    it("routes to a version only while a living replica serves it, and keeps the old one until the new one serves", async () => {
      const parent = await model("served");
      await version(parent);
      const name = "projects/p/deployments/served";
      const report = (versions: Record<number, VersionStatus_State>) =>
        deployments(system).reportReplica({ replica: { replicaId: "r1", address: "127.0.0.1:9" }, statuses: Object.entries(versions).map(([number, state]) => ({ deployment: name, version: BigInt(number), state })) });
      const routes = async () => {
        for await (const { routes: all } of deployments(system).watchRoutingTable({})) return all.filter(({ deployment }) => deployment === name).map((route) => `${route.version}${route.defaultVersion ? "*" : ""}@${route.addresses.join()}`);
        return [];
      };
      const assigned = async () => {
        for await (const { assignments } of deployments(system).watchAssignments({ replicaId: "r1" })) return assignments.filter(({ deployment }) => deployment === name).map(({ modelVersion }) => Number(modelVersion?.number));
        return [];
      };

      await deployments().createDeployment({ parent: "projects/p", deploymentId: "served", deployment: { model: parent } });
      await report({});
      assert.deepEqual([await assigned(), await routes()], [[1], []]);
      await report({ 1: VersionStatus_State.READY });
      assert.deepEqual(await routes(), ["1*@127.0.0.1:9"]);
      assert.equal((await deployments().getDeployment({ name })).state, Deployment_State.READY);

      await version(parent);
      assert.deepEqual([await assigned(), await routes()], [[1, 2], ["1*@127.0.0.1:9"]]);
      await report({ 1: VersionStatus_State.READY, 2: VersionStatus_State.FAILED });
      assert.equal((await deployments().getDeployment({ name })).state, Deployment_State.FAILED);
      assert.deepEqual(await routes(), ["1*@127.0.0.1:9"]);
      await report({ 1: VersionStatus_State.READY, 2: VersionStatus_State.READY });
      assert.deepEqual(await assigned(), [2]);

      await deployments(system).reportReplica({ replica: { replicaId: "r1", address: "127.0.0.1:9" }, leaving: true });
      assert.deepEqual(await routes(), []);
      await deployments().deleteDeployment({ name });
      await assert.rejects(deployments().getDeployment({ name }), reason("DEPLOYMENT_NOT_FOUND"));
    });

    it("streams events in order, resumable after any of them", async () => {
      const parent = await model("watched");
      const read = async (afterSequence: bigint, count: number) => {
        const events = [];
        for await (const event of registry().watchEvents({ parent: "projects/p", afterSequence })) {
          events.push(event);
          if (events.length === count) break;
        }
        return events;
      };
      const [created] = (await read(0n, 1)).slice(-1);
      await version(parent);

      const events = (await read(created?.sequence ?? 0n, 2)).map(({ sequence }) => Number(sequence));

      assert.deepEqual(events, [...events].sort((a, b) => a - b));
      assert.ok((events[0] ?? 0) > Number(created?.sequence));
    });

    const refused = [
      { what: "a key of another project", run: () => registry({ ...developer, project: "other" }).getModel({ name: "projects/p/models/simple" }), want: "PERMISSION_DENIED" },
      { what: "a writer with the role user", run: () => registry({ ...developer, role: "user" }).createModel({ parent: "projects/p", modelId: "x" }), want: "PERMISSION_DENIED" },
      { what: "a replica's call by a developer", run: () => deployments().listReplicas({}), want: "PERMISSION_DENIED" },
      { what: "an id with a space", run: () => registry().createModel({ parent: "projects/p", modelId: "my model" }), want: "FIELD_INVALID" },
      { what: "a name of another form", run: () => registry().getModel({ name: "projects/p/model/simple" }), want: "RESOURCE_NAME_INVALID" },
      { what: "an unknown model", run: () => registry().getModel({ name: "projects/p/models/nobody" }), want: "MODEL_NOT_FOUND" },
      { what: "a model that exists", run: () => registry().createModel({ parent: "projects/p", modelId: "simple" }), want: "ALREADY_EXISTS" },
      { what: "a made-up page token", run: () => registry().listModels({ parent: "projects/p", pageToken: "x" }), want: "PAGE_TOKEN_INVALID" },
      { what: "a serving configuration that is no JSON", run: () => registry().createModelVersion({ parent: "projects/p/models/simple", modelVersion: { servingConfigJson: "{" } }), want: "FIELD_INVALID" },
      { what: "a path that leaves its folder", run: async () => registry().uploadArtifact([{ payload: { case: "head", value: { modelVersion: (await registry().createModelVersion({ parent: "projects/p/models/simple" })).name, path: "../x" } } }]), want: "FIELD_INVALID" },
    ] as const;
    for (const { what, run, want } of refused) it(`refuses ${what}`, () => assert.rejects(run, reason(want)));

    it("has everything again after a restart", async () => {
      const list = async () => (await registry().listModels({ parent: "projects/p", pageSize: 100 })).models.map(({ name, etag }) => [name, etag]);
      const before = await list();

      await server[Symbol.asyncDispose]();
      server = await startServer(config);

      assert.deepEqual(await list(), before);
    });
  });
}

/** Reads as ONNX, but its operator does not exist. */
function brokenGraph(): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "FP32", ["n"]);
  return buildModel({ graph, outputs: { y: graph.node("NoSuchOperator", [x], { datatype: "FP32", shape: ["n"] }) } });
}
