import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Identity } from "@servable/auth";
import { DeploymentService, Deployment_State, VersionStatus_State } from "@servable/contracts/registry/v1/deployment";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { createChannel, createClient, type Channel } from "@servable/grpc";
import { addSubModel, tempDir } from "@servable/testing";
import { startServer, type RegistryServer } from "../src/index.ts";

const developer: Identity = { project: "p", principal: "projects/p/apiKeys/k", role: "developer" };
const system: Identity = { project: "default", principal: "services/inference", role: "admin" };
const { LOADING, READY, IDLE, FAILED } = VersionStatus_State;

describe("copies that move between replicas", () => {
  const directory = tempDir();
  let server: RegistryServer;
  let channel: Channel;
  const deployments = (identity: Identity = system) => createClient(DeploymentService, channel, { identity });
  const addressOf = (replicaId: string): string => `10.0.0.1:${replicaId.slice(1)}`;
  const report = (replicaId: string, states: Record<string, VersionStatus_State>, more: { draining?: boolean; memoryBytes?: bigint; memoryBudgetBytes?: bigint } = {}) =>
    deployments().reportReplica({
      replica: { replicaId, address: addressOf(replicaId), draining: more.draining ?? false, memoryBudgetBytes: more.memoryBudgetBytes ?? 0n },
      statuses: Object.entries(states).map(([deployment, state]) => ({ deployment: `projects/p/deployments/${deployment}`, version: 1n, state, memoryBytes: more.memoryBytes ?? 0n })),
    });
  const assigned = async (replicaId: string): Promise<string[]> => {
    for await (const { assignments } of deployments().watchAssignments({ replicaId })) return assignments.map(({ deployment }) => deployment.split("/").at(-1) ?? "");
    return [];
  };
  const addresses = async (deployment: string): Promise<string[]> => {
    for await (const { routes } of deployments().watchRoutingTable({})) return routes.filter((route) => route.deployment.endsWith(`/${deployment}`)).flatMap((route) => route.addresses);
    return [];
  };
  const leave = (replicaId: string) => deployments().reportReplica({ replica: { replicaId, address: addressOf(replicaId) }, leaving: true });

  before(async () => {
    server = await startServer({
      listen: `unix:${join(directory.path, "r.sock")}`,
      databaseUrl: `sqlite:${join(directory.path, "r.db")}`,
      blobDir: join(directory.path, "blobs"),
      internalToken: "t",
      artifactBytesMax: 10_000_000,
      validationTimeoutMs: 30_000,
      validationMemoryBytesMax: 16 * 1024 ** 3,
      replicaLeaseMs: 60_000,
    });
    channel = createChannel(server.address, { token: "t" });
    const registry = createClient(ModelRegistryService, channel, { identity: developer });
    const bytes = addSubModel();
    await registry.createModel({ parent: "projects/p", modelId: "m", model: {} });
    const { name } = await registry.createModelVersion({ parent: "projects/p/models/m", modelVersion: {} });
    await registry.uploadArtifact([
      { payload: { case: "head", value: { modelVersion: name, path: "model.onnx", sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: BigInt(bytes.length) } } },
      { payload: { case: "chunk", value: bytes } },
    ]);
    await registry.finalizeModelVersion({ name });
  });
  after(async () => {
    channel.close();
    await server[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });
  const deploy = async (deploymentId: string, servingConfigJson = "", replicaCount = 1): Promise<void> => void (await deployments(developer).createDeployment({ parent: "projects/p", deploymentId, deployment: { model: "projects/p/models/m", servingConfigJson, replicaCount } }));
  const undeploy = (deploymentId: string) => deployments(developer).deleteDeployment({ name: `projects/p/deployments/${deploymentId}` });

  it("stay where they serve until the new place serves, when a replica is about to stop", async () => {
    await deploy("moving");
    await report("r1", { moving: READY });
    await report("r2", {});
    const [from = "", to = ""] = (await assigned("r1")).length > 0 && (await assigned("r2")).length === 0 ? ["r1", "r2"] : ["r2", "r1"];
    await report(from, { moving: READY });
    await report(to, {});
    assert.deepEqual([await assigned(from), await assigned(to)], [["moving"], []]);

    const told = await report(from, { moving: READY }, { draining: true });
    assert.equal(told.handedOver, false);
    assert.deepEqual([await assigned(from), await assigned(to)], [["moving"], ["moving"]]);
    await report(to, { moving: LOADING });
    await report(to, { moving: FAILED });
    assert.deepEqual([await assigned(from), await addresses("moving")], [["moving"], [addressOf(from)]]);

    await report(to, { moving: READY });
    assert.equal((await report(from, { moving: READY }, { draining: true })).handedOver, true);
    assert.deepEqual([await assigned(from), await assigned(to)], [[], ["moving"]]);
    await leave(from);
    assert.deepEqual(await addresses("moving"), [addressOf(to)]);

    // Nobody is left to take over from: it may go at once.
    assert.equal((await report(to, { moving: READY }, { draining: true })).handedOver, true);
    await leave(to);
    await undeploy("moving");
  });

  it("are called where they are in memory, and where they are nowhere, wherever a call loads them", async () => {
    await deploy("sleepy", "", 2);
    await report("r1", { sleepy: IDLE });
    await report("r2", { sleepy: IDLE });
    assert.deepEqual((await addresses("sleepy")).sort(), [addressOf("r1"), addressOf("r2")]);
    assert.equal((await deployments(developer).getDeployment({ name: "projects/p/deployments/sleepy" })).state, Deployment_State.READY);

    await report("r2", { sleepy: READY });
    assert.deepEqual(await addresses("sleepy"), [addressOf("r2")]);
    await Promise.all([leave("r1"), leave("r2")]);
    await undeploy("sleepy");
  });

  it("of pinned models fill no replica above its memory while another has room", async () => {
    const pinned = '{"parameters":{"servable.pinned":{"string_value":"true"}}}';
    const names = ["a", "b", "c", "d", "e", "f"].map((name) => `pinned-${name}`);
    for (const name of names) await deploy(name, pinned);
    for (const replica of ["r1", "r2", "r3"]) await report(replica, {}, { memoryBudgetBytes: 250n });
    // What they take is known from whoever served them.
    await report("r1", Object.fromEntries(names.map((name) => [name, READY])), { memoryBytes: 100n, memoryBudgetBytes: 250n });
    for (const replica of ["r2", "r3"]) await report(replica, Object.fromEntries((await assigned(replica)).map((name) => [name, READY])), { memoryBytes: 100n, memoryBudgetBytes: 250n });

    assert.deepEqual((await Promise.all(["r2", "r3"].map(assigned))).map(({ length }) => length), [2, 2]);
    await Promise.all(["r1", "r2", "r3"].map(leave));
    for (const name of names) await undeploy(name);
  });
});
