// What concerns all replicas at once: shared memory, settings, statistics, the index.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { ModelRepositoryService } from "@servable/contracts/open-inference/model_repository";
import { StatusError, type Reason } from "@servable/errors";
import { createClient } from "@servable/grpc";
import { currentLogLevels, setLogLevels, setTraceSampling } from "@servable/telemetry";
import { startFakeReplica, type FakeReplica } from "./fakes.ts";
import { ADMIN_KEY, startTestGateway, withKey, type TestGateway } from "./gateway.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;

describe("a gateway over two replicas", () => {
  let gateway: TestGateway;
  let second: FakeReplica;
  const levels = currentLogLevels();
  before(async () => {
    gateway = await startTestGateway();
    second = await startFakeReplica();
    await publish([gateway.replica, second]);
  });
  afterEach(async () => {
    for (const replica of [gateway.replica, second]) replica.failWith = undefined;
    await client().systemSharedMemoryUnregister({}, withKey());
    setLogLevels(levels);
    setTraceSampling({ enabled: true, rate: 1 });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
  });
  const client = () => createClient(GRPCInferenceService, gateway.channel);
  const publish = async (replicas: readonly FakeReplica[]): Promise<void> => {
    const addresses = replicas.map(({ address }) => address);
    const marker = `m${addresses.length}-${Date.now()}`;
    gateway.registry.publish({ simple: addresses, [marker]: addresses });
    while (!(await client().modelReady({ name: marker }, withKey())).ready) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  const shared = { modelName: "simple", inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "INT32", shape: [1n, 16n], parameters: { shared_memory_region: { parameterChoice: { case: "stringParam" as const, value: "r" } } } })), rawInputContents: [new Uint8Array(64), new Uint8Array(64)] };

  it("registers shared memory with all replicas, and forgets it with all", async () => {
    await client().systemSharedMemoryRegister({ name: "r", key: "/r", offset: 8n, byteSize: 64n }, withKey());

    assert.deepEqual([gateway.replica, second].map(({ regions }) => regions.get("r")?.byteSize), [64n, 64n]);
    assert.deepEqual(Object.values((await client().systemSharedMemoryStatus({}, withKey())).regions).map(({ name, key, offset }) => ({ name, key, offset })), [{ name: "r", key: "/r", offset: 8n }]);
    await client().systemSharedMemoryUnregister({ name: "r" }, withKey());
    assert.deepEqual([gateway.replica, second].map(({ regions }) => regions.size), [0, 0]);
  });

  it("registers with none when one refuses", async () => {
    second.failWith = new StatusError("SHARED_MEMORY_UNUSABLE", "Unable to open shared memory region: '/r'");

    await assert.rejects(client().systemSharedMemoryRegister({ name: "r", key: "/r", byteSize: 64n }, withKey()), reason("SHARED_MEMORY_UNUSABLE"));

    assert.equal(gateway.replica.regions.size, 0);
  });

  it("tells a replica that was started again of a region when a call needs it", async () => {
    await client().systemSharedMemoryRegister({ name: "r", key: "/r", byteSize: 64n }, withKey());
    for (const replica of [gateway.replica, second]) replica.regions.clear();

    assert.equal((await client().modelInfer(shared, withKey())).modelName, "simple");
    await assert.doesNotReject(Array.fromAsync(client().modelStreamInfer([shared], withKey())));
  });

  it("says that a region is not known where nobody registered it", async () => {
    await assert.rejects(client().modelInfer(shared, withKey()), reason("SHARED_MEMORY_UNKNOWN"));
  });

  it("serves shared memory over REST", async () => {
    const post = (path: string, body?: unknown) => gateway.http(path, { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) });

    assert.equal((await post("/v2/systemsharedmemory/region/r/register", { key: "/r", offset: 0, byte_size: 128 })).status, 200);
    assert.deepEqual(await (await gateway.http("/v2/systemsharedmemory/status")).json(), [{ name: "r", key: "/r", offset: 0, byte_size: 128 }]);
    assert.equal((await post("/v2/systemsharedmemory/region/r/unregister")).status, 200);
    assert.equal((await post("/v2/systemsharedmemory/unregister")).status, 200);
    assert.deepEqual(await (await gateway.http("/v2/systemsharedmemory/region/r/status")).json(), []);
    const cuda = await post("/v2/cudasharedmemory/region/c/register", { raw_handle: { b64: "AA==" }, device_id: 0, byte_size: 8 });
    assert.equal(cuda.status, 400);
    assert.match(await cuda.text(), /failed to register shared memory region.*invalid args/);
    assert.deepEqual(await (await gateway.http("/v2/cudasharedmemory/status")).json(), []);
    assert.match(await (await post("/v2/systemsharedmemory/region/r/register", { key: "/r", byte_size: -1 })).text(), /byte_size must be a whole number/);
  });

  it("adds the statistics of both up", async () => {
    assert.equal((await client().modelStatistics({ name: "simple" }, withKey())).modelStats[0]?.inferenceCount, 8n);
    const { model_stats: stats } = (await (await gateway.http("/v2/models/simple/stats")).json()) as { model_stats: { inference_count: number }[] };
    assert.equal(stats[0]?.inference_count, 8);
  });

  it("names the versions of a model wherever they are served", async () => {
    assert.deepEqual((await client().modelMetadata({ name: "simple" }, withKey())).versions, ["1"]);
    assert.deepEqual(((await (await gateway.http("/v2/models/simple")).json()) as { versions: string[] }).versions, ["1"]);
  });

  it("answers the index though one replica is dead", async () => {
    gateway.registry.publish({ simple: [gateway.replica.address, "127.0.0.1:1"] });

    assert.ok((await client().repositoryIndex({}, withKey())).models.some(({ name, state }) => name === "simple" && state === "READY"));
    await publish([gateway.replica, second]);
  });

  it("passes settings to both, follows them, and tells a third that comes later", async () => {
    await client().logSettings({ settings: { log_info: { parameterChoice: { case: "boolParam", value: false } } } }, withKey());
    assert.equal(currentLogLevels().info, false);
    const level = await gateway.http("/v2/trace/setting", { method: "POST", body: '{"trace_level":["OFF"],"trace_rate":"9","log_frequency":null}' });
    assert.deepEqual(await level.json(), { trace_level: ["OFF"], trace_rate: "9", log_frequency: "" });
    for (const { calls } of [gateway.replica, second]) assert.deepEqual(calls.filter(({ method }) => /Setting/.test(method)).map(({ method }) => method), ["LogSettings", "TraceSetting"]);

    await using third = await startFakeReplica();
    await publish([gateway.replica, second, third]);
    const told = (): string[] => third.calls.map(({ method }) => method).filter((method) => method.includes("Setting")).toSorted();
    while (told().length < 2) await new Promise((resolve) => setTimeout(resolve, 5));

    assert.deepEqual(told(), ["LogSettings", "TraceSetting"]);
    await publish([gateway.replica, second]);
  });

  it("serves the log over REST, and refuses what is no setting's value", async () => {
    assert.deepEqual(await (await gateway.http("/v2/logging", { method: "POST", body: '{"log_verbose_level":1,"log_format":"ISO8601"}' })).json(), { log_info: true, log_verbose_level: 1, log_format: "ISO8601" });
    assert.deepEqual(await (await gateway.http("/v2/logging")).json(), { log_info: true });
    assert.equal((await gateway.http("/v2/logging", { method: "POST", body: '{"log_info":[]}' })).status, 400);
    assert.equal((await gateway.http("/v2/trace/setting", { method: "POST", body: '{"trace_rate":true}' })).status, 400);
    const wrong = await gateway.http("/v2/logging", { method: "DELETE" });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get("allow"), "GET, POST");
  });

  it("serves MLServer's name of the repository calls", async () => {
    assert.ok((await createClient(ModelRepositoryService, gateway.channel).repositoryIndex({}, withKey())).models.some(({ name }) => name === "simple"));
  });
});

describe("a gateway that is set otherwise", () => {
  it("takes no shared memory when it is off, and says how to turn it on", async () => {
    await using gateway = await startTestGateway({ clientSharedMemory: "false" });

    await assert.rejects(createClient(GRPCInferenceService, gateway.channel).systemSharedMemoryRegister({ name: "x", key: "/x", byteSize: 1n }, withKey()), (error: unknown) => reason("UNIMPLEMENTED")(error) && /SERVABLE_CLIENT_SHARED_MEMORY/.test(String(error)));
    assert.doesNotMatch(await (await gateway.http("/v2")).text(), /system_shared_memory/);
  });

  it("refuses loads and unloads where models are controlled by the registry alone", async () => {
    await using gateway = await startTestGateway({ modelControl: "none" });

    const answer = await gateway.http("/v2/repository/models/simple/load", { method: "POST" });

    assert.equal(answer.status, 503);
    assert.match(await answer.text(), /explicit model load \/ unload is not allowed if polling is enabled/);
    await assert.rejects(createClient(GRPCInferenceService, gateway.channel).repositoryModelUnload({ modelName: "simple" }, withKey()), reason("MODEL_CONTROL_OFF"));
  });
});

describe("requests that state two lengths", () => {
  const request = (key: string): string => `POST /v2/repository/index HTTP/1.1\r\nHost: x\r\nx-api-key: ${key}\r\nContent-Length: 14\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
  for (const { httpValidation, status } of [{ httpValidation: "strict", status: 400 }, { httpValidation: "insecure", status: 200 }] as const) {
    it(`are answered ${status} where reading is ${httpValidation}`, async () => {
      await using gateway = await startTestGateway({ httpValidation });
      const [host = "", port = ""] = gateway.server.httpAddress.split(":");
      const socket = connect(Number(port), host);
      socket.write(request(ADMIN_KEY));

      const answer = Buffer.concat(await socket.toArray()).toString();

      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    });
  }
});
