import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { createChannel, createClient } from "@servable/grpc";
import { elementsOf, tensorOf } from "@servable/tensor";
import { accumulatorModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

describe("sequences over several replicas", { timeout: 120_000 }, () => {
  it("stay where they began while another replica joins and dies", async () => {
    await using platform = await TestPlatform.create({ replicas: 2 });
    using directory = tempDir();
    const { model, config } = accumulatorModel();
    const file = join(directory.path, "sum.onnx");
    writeFileSync(file, model);
    const unhurried = { ...(JSON.parse(config) as { sequence_batching: object }) };
    const { direct: _, ...batching } = unhurried.sequence_batching as Record<string, unknown>;
    unhurried.sequence_batching = { ...batching, max_sequence_idle_microseconds: 60_000_000, oldest: { max_candidate_sequences: 64 } };
    await platform.client.models.importFile({ model: "sum", file, servingConfigJson: JSON.stringify(unhurried) });
    await platform.client.deployments.deploy({ model: "sum", replicas: 1 });
    const channel = createChannel(platform.platform.grpcAddress);
    const metadata = { authorization: `Bearer ${platform.apiKey}` };
    const client = createClient(GRPCInferenceService, channel, { metadata });
    const request = (id: string, start: boolean) => ({
      modelName: "sum",
      id,
      inputs: [{ name: "INPUT", datatype: "INT32", shape: [1n, 1n] }],
      rawInputContents: [tensorOf("INT32", [1], [1]).data],
      parameters: { sequence_id: { parameterChoice: { case: "stringParam" as const, value: id } }, sequence_start: { parameterChoice: { case: "boolParam" as const, value: start } } },
    });
    const send = async (id: string, start = false): Promise<unknown> => elementsOf({ datatype: "INT32", shape: [1, 1], data: (await client.modelInfer(request(id, start))).rawOutputContents[0] as Uint8Array })[0];
    const ids = Array.from({ length: 12 }, (_, index) => `s${index}`);
    assert.deepEqual(await Promise.all(ids.map((id) => send(id, true))), ids.map(() => 1));

    // Half of the sequences would be the second replica's by their hash.
    const deployments = createClient(DeploymentService, channel, { metadata });
    await deployments.updateDeployment({ deployment: { name: "projects/default/deployments/sum", replicaCount: 2 }, updateMask: { paths: ["replica_count"] } });
    const { replicas } = await deployments.listReplicas({});
    const each = replicas.map(({ address }) => createChannel(address, { token: platform.internalToken }));
    for (const replica of each) {
      const direct = createClient(GRPCInferenceService, replica, { identity: { project: "default", principal: "test", role: "developer" } });
      while (!(await direct.modelReady({ name: "sum" })).ready) await new Promise((resolve) => setTimeout(resolve, 50));
      replica.close();
    }
    // The routing table follows the replica's report.
    await new Promise((resolve) => setTimeout(resolve, 500));

    assert.deepEqual(await Promise.all(ids.map((id) => send(id))), ids.map(() => 2));
    const streamed = await Array.fromAsync(client.modelStreamInfer(ids.map((id) => request(id, false))));
    assert.deepEqual(new Set(streamed.map(({ inferResponse, errorMessage }) => errorMessage || elementsOf({ datatype: "INT32", shape: [1, 1], data: inferResponse?.rawOutputContents[0] as Uint8Array })[0])), new Set([3]));

    // New ones spread over both; when one dies, its own must be started again, and the others do not notice.
    const more = Array.from({ length: 30 }, (_, index) => `n${index}`);
    await Promise.all(more.map((id) => send(id, true)));
    process.kill(platform.platform.pids()["inference-1"] ?? 0, "SIGKILL");
    const settled = async (id: string): Promise<unknown> => {
      for (;;) {
        try {
          return await send(id);
        } catch (error) {
          if (error instanceof StatusError && error.reason === "SEQUENCE_NOT_STARTED") return "lost";
          assert.ok(error instanceof StatusError && error.code === "UNAVAILABLE", String(error));
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    const after = await Promise.all([...ids, ...more].map(settled));

    const kept = after.filter((value) => value !== "lost");
    assert.ok(kept.length > 0 && kept.length < after.length, `${kept.length} of ${after.length} were kept`);
    for (const [index, value] of after.entries()) assert.ok(value === "lost" || value === (index < ids.length ? 4 : 2), String(value));
    channel.close();
  });

  it("go on in the version where they began while a newer one takes over", async () => {
    await using platform = await TestPlatform.create();
    using directory = tempDir();
    const { model, config } = accumulatorModel("oldest");
    const file = join(directory.path, "sum.onnx");
    writeFileSync(file, model);
    const importVersion = () => platform.client.models.importFile({ model: "sum", file, servingConfigJson: config });
    await importVersion();
    await platform.client.deployments.deploy({ model: "sum" });
    const channel = createChannel(platform.platform.grpcAddress);
    const client = createClient(GRPCInferenceService, channel, { metadata: { authorization: `Bearer ${platform.apiKey}` } });
    const send = async (id: bigint, start = false): Promise<readonly [version: string, sum: unknown]> => {
      const { modelVersion, rawOutputContents } = await client.modelInfer({
        modelName: "sum",
        inputs: [{ name: "INPUT", datatype: "INT32", shape: [1n, 1n] }],
        rawInputContents: [tensorOf("INT32", [1], [1]).data],
        parameters: { sequence_id: { parameterChoice: { case: "int64Param", value: id } }, sequence_start: { parameterChoice: { case: "boolParam", value: start } } },
      });
      return [modelVersion, elementsOf({ datatype: "INT32", shape: [1, 1], data: rawOutputContents[0] as Uint8Array })[0]];
    };

    assert.deepEqual(await send(1n, true), ["1", 1]);
    const switched = importVersion();
    let sum = 1;
    let newest = "";
    // Every new sequence asks which version is served; the old one goes on meanwhile.
    for (let id = 2n; newest !== "2"; id++) {
      [newest] = await send(id, true);
      assert.deepEqual(await send(1n), ["1", ++sum]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await switched;

    for (let more = 0; more < 5; more++) assert.deepEqual(await send(1n), ["1", ++sum]);
    channel.close();
  });
});
