import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BillingService } from "@servable/contracts/billing/v1/billing";
import { GRPCInferenceService, ModelInferRequestSchema, ModelInferResponseSchema, type ModelStreamInferResponse } from "@servable/contracts/open-inference/grpc_service";
import { StatusError, type Reason } from "@servable/errors";
import { createClient, rawUnary } from "@servable/grpc";
import { MODELS, simpleRequest, startFakeRegistry, startFakeReplica } from "./fakes.ts";
import { startTestGateway, withKey, type TestGateway } from "./gateway.ts";

const reason = (want: Reason) => (error: unknown) => error instanceof StatusError && error.reason === want;
const INFER = "/inference.GRPCInferenceService/ModelInfer";
const request = (model?: string, id?: string) => fromBinary(ModelInferRequestSchema, simpleRequest(model, id));

describe("Open Inference Protocol over gRPC", () => {
  let gateway: TestGateway;
  before(async () => (gateway = await startTestGateway()));
  after(() => gateway[Symbol.asyncDispose]());
  beforeEach(() => {
    gateway.replica.calls.length = 0;
    gateway.replica.failWith = undefined;
    gateway.replica.hang = false;
  });
  const client = () => createClient(GRPCInferenceService, gateway.channel);
  const usage = async () => (await createClient(BillingService, gateway.channel).listUsageRecords({ parent: "projects/default" }, withKey())).usageRecords;

  it("passes a call on with the caller's identity, request id and deadline", async () => {
    const answer = await client().modelInfer(request(), { ...withKey(), requestId: "call-1", timeoutMs: 60_000 });

    assert.equal(answer.outputs[0]?.name, "OUTPUT0");
    const [call] = gateway.replica.calls;
    assert.deepEqual(call?.identity, { project: "default", principal: "projects/default/apiKeys/bootstrap", role: "admin" });
    assert.equal(call.requestId, "call-1");
    assert.ok(call.deadline !== undefined && call.deadline.getTime() - Date.now() <= 60_000);
  });

  it("records a call once, however it ends", async () => {
    const before = (await usage()).length;
    await client().modelInfer(request(), { ...withKey(), requestId: "good" });
    await assert.rejects(client().modelInfer(request("nowhere"), { ...withKey(), requestId: "unknown" }), reason("MODEL_NOT_FOUND"));
    gateway.replica.failWith = new StatusError("INFERENCE_FAILED", "no");
    await assert.rejects(client().modelInfer(request(), { ...withKey(), requestId: "failed" }), reason("INFERENCE_FAILED"));
    gateway.replica.failWith = undefined;
    await gateway.http("/v1/models/sigmoid:predict", { method: "POST", body: '{"input_data":[[1,0],[0,0]]}', headers: { "x-request-id": "predicted" } });
    await gateway.http("/v2/models/simple/infer", { method: "POST", body: "{}", headers: { "x-request-id": "malformed" } });

    const records = (await usage()).slice(0, -before || undefined);

    const shown = records.map(({ requestId, model, operation, unitCount, outcome }) => `${requestId} ${operation} ${model} ${unitCount} ${outcome}`);
    assert.deepEqual(shown.toSorted(), ["failed ModelInfer simple 0 INVALID_ARGUMENT", "good ModelInfer simple 1 OK", "malformed ModelInfer simple 0 INVALID_ARGUMENT", "predicted Predict sigmoid 1 OK", "unknown ModelInfer nowhere 0 NOT_FOUND"]);
    assert.ok(records.every(({ apiKey, project }) => apiKey === "projects/default/apiKeys/bootstrap" && project === "projects/default"));
    assert.ok((records.find(({ requestId }) => requestId === "good")?.sizeBytes ?? 0n) > 256n);
  });

  it("keeps usage over a restart of the reader: pages go from new to old without a gap", async () => {
    for (let i = 0; i < 3; i += 1) await client().modelInfer(request(), withKey());
    const billing = createClient(BillingService, gateway.channel);
    const all = (await usage()).map(({ time, requestId }) => `${time?.seconds} ${requestId}`);

    const paged: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await billing.listUsageRecords({ parent: "projects/default", pageSize: 2, pageToken }, withKey());
      paged.push(...page.usageRecords.map(({ time, requestId }) => `${time?.seconds} ${requestId}`));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    assert.deepEqual(paged, all);
  });

  const refused = [
    { what: "an unknown model", message: { modelName: "nowhere" }, want: "MODEL_NOT_FOUND", text: /^Request for unknown model: 'nowhere' is not found$/ },
    { what: "an unknown version", message: { modelName: "simple", modelVersion: "99" }, want: "MODEL_VERSION_NOT_FOUND", text: /'simple' version 99 is not found/ },
    { what: "a version that is no number", message: { modelName: "simple", modelVersion: "wrong_specification" }, want: "FIELD_INVALID", text: /failed to get model version from specified version string 'wrong_specification'/ },
  ] as const;
  for (const { what, message, want, text } of refused) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(client().modelInfer(message, withKey()), (error: unknown) => reason(want)(error) && text.test((error as Error).message));
    });
  }

  it("takes bytes that are no message for the caller's mistake", async () => {
    await assert.rejects(rawUnary(gateway.channel, INFER, Buffer.from([0x0a, 0xff, 0xff]), withKey()), reason("MESSAGE_MALFORMED"));
  });

  it("passes on fields that it does not know", async () => {
    const bytes = Buffer.concat([simpleRequest(), Buffer.from([0xfa, 0x3f, 0x01, 0x78])]); // field 1023, a text

    const answer = fromBinary(ModelInferResponseSchema, await rawUnary(gateway.channel, INFER, bytes, withKey()));

    assert.equal(answer.modelName, "simple");
  });

  it("takes messages up to the limit and says what it is", async () => {
    const large = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName: "simple_identity", inputs: [{ name: "INPUT0", datatype: "BYTES", shape: [1n, 1n] }], rawInputContents: [new Uint8Array(1_000_000)] }));
    assert.ok((await rawUnary(gateway.channel, INFER, large, withKey())).length > 1_000_000);

    await assert.rejects(rawUnary(gateway.channel, INFER, new Uint8Array(1_100_000), withKey()), reason("MESSAGE_TOO_LARGE"));
  });

  it("cancels at the replica what the caller gives up", async () => {
    gateway.replica.hang = true;
    const abort = new AbortController();
    const call = client().modelInfer(request(), { ...withKey(), signal: abort.signal });
    while (gateway.replica.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));

    abort.abort();

    await assert.rejects(call, reason("CANCELLED"));
    await gateway.replica.cancelled;
  });

  it("ends a call at its deadline", async () => {
    gateway.replica.hang = true;

    await assert.rejects(client().modelInfer(request(), { ...withKey(), timeoutMs: 100 }), reason("DEADLINE_EXCEEDED"));
  });

  it("streams in order, and answers a wrong model inside the stream", async () => {
    const answers = await Array.fromAsync(client().modelStreamInfer([request("simple", "a"), request("nowhere", "b"), request("simple", "c")], withKey()));

    const ids = answers.map(({ errorMessage, inferResponse }) => `${inferResponse?.id ?? ""} ${errorMessage}`);
    assert.deepEqual(ids.filter((id) => !id.startsWith("b")), ["a ", "c "]);
    assert.match(ids.find((id) => id.startsWith("b")) ?? "", /Request for unknown model: 'nowhere' is not found/);
    const [record] = await usage();
    assert.equal(record?.operation, "ModelStreamInfer");
    assert.equal(record.unitCount, 2n);
  });

  it("ends a stream with the real status where the caller asks for it", async () => {
    const { metadata } = withKey();

    await assert.rejects(Array.fromAsync(client().modelStreamInfer([request("nowhere")], { metadata: { ...metadata, triton_grpc_error: "true" } })), reason("MODEL_NOT_FOUND"));
  });

  it("reports an unloaded model as not ready, and finds it right behind its load", async () => {
    await client().repositoryModelUnload({ modelName: "simple_int8" }, withKey());
    await client().repositoryModelUnload({ modelName: "echo64" }, withKey());
    assert.equal((await client().modelReady({ name: "echo64" }, withKey())).ready, false);

    await client().repositoryModelLoad({ modelName: "echo64" }, withKey());

    assert.equal((await client().modelReady({ name: "echo64" }, withKey())).ready, true);
  });
});

describe("routing", () => {
  it("tries a call that had no answer once more elsewhere, and says so when nobody answers", async () => {
    await using gateway = await startTestGateway();
    const client = createClient(GRPCInferenceService, gateway.channel);
    const dead = "127.0.0.1:1";
    gateway.registry.publish({ simple: [dead, gateway.replica.address], sigmoid: [dead] });
    // The new table is in use once a model of the old one is gone.
    while ((await client.modelReady({ name: "score" }, withKey())).ready) await new Promise((resolve) => setTimeout(resolve, 5));

    for (let i = 0; i < 5; i += 1) assert.equal((await client.modelInfer(request(), withKey())).modelName, "simple");

    await assert.rejects(client.modelInfer(request("sigmoid"), withKey()), reason("REPLICA_UNAVAILABLE"));
  });

  it("does not repeat a call that a replica answered with an error", async () => {
    await using second = await startFakeReplica();
    await using gateway = await startTestGateway();
    gateway.registry.publish({ simple: [second.address, gateway.replica.address] });
    for (const replica of [second, gateway.replica]) replica.failWith = new StatusError("ENGINE_CRASHED", "the engine died");

    await assert.rejects(createClient(GRPCInferenceService, gateway.channel).modelInfer(request(), withKey()), reason("ENGINE_CRASHED"));

    assert.equal(second.calls.length + gateway.replica.calls.length, 1);
  });

  it("runs one stream over models of several replicas", async () => {
    await using second = await startFakeReplica();
    await using gateway = await startTestGateway();
    const client = createClient(GRPCInferenceService, gateway.channel);
    gateway.registry.publish({ simple: [second.address], simple_identity: [gateway.replica.address] });
    while ((await client.modelReady({ name: "score" }, withKey())).ready) await new Promise((resolve) => setTimeout(resolve, 5));
    const other = { modelName: "simple_identity", id: "b", inputs: [{ name: "INPUT0", datatype: "BYTES", shape: [1n, 1n] }], rawInputContents: [Uint8Array.of(1, 0, 0, 0, 65)] };

    const answers = await Array.fromAsync(client.modelStreamInfer([request("simple", "a"), other, request("simple", "c")], withKey()));

    assert.deepEqual(answers.map(({ inferResponse }) => inferResponse?.id).toSorted(), ["a", "b", "c"]);
    assert.deepEqual(second.calls.map(({ model }) => model), ["simple", "simple"]);
  });

  it("ends a stream whose replica dies with an error, not with silence", async () => {
    await using second = await startFakeReplica();
    await using gateway = await startTestGateway();
    const client = createClient(GRPCInferenceService, gateway.channel);
    gateway.registry.publish({ simple: [second.address] });
    while ((await client.modelReady({ name: "score" }, withKey())).ready) await new Promise((resolve) => setTimeout(resolve, 5));
    const open = Promise.withResolvers<void>();
    const requests = async function* () {
      yield request("simple", "a");
      await open.promise;
    };

    const answers = client.modelStreamInfer(requests(), withKey())[Symbol.asyncIterator]();
    const { value } = (await answers.next()) as IteratorYieldResult<ModelStreamInferResponse>;
    assert.equal(value.inferResponse?.id, "a");
    await second[Symbol.asyncDispose]();

    await assert.rejects(answers.next(), (error: unknown) => error instanceof StatusError && error.code === "UNAVAILABLE");
    open.resolve();
  });

  it("serves on while the registry is away and follows it when it is back", async () => {
    await using gateway = await startTestGateway();
    const client = createClient(GRPCInferenceService, gateway.channel);
    await client.modelInfer(request(), withKey());

    await gateway.registry[Symbol.asyncDispose]();
    assert.equal((await client.modelInfer(request(), withKey())).modelName, "simple");

    await using registry = await startFakeRegistry(gateway.registry.address);
    registry.publish({ score: [gateway.replica.address] });
    while ((await client.modelReady({ name: "simple" }, withKey())).ready) await new Promise((resolve) => setTimeout(resolve, 10));
    await assert.rejects(client.modelInfer(request(), withKey()), reason("MODEL_NOT_FOUND"));
  });

  it("lets the first calls wait for the first table", async () => {
    await using gateway = await startTestGateway();

    const response = await gateway.http("/v2/models/simple");

    assert.equal(response.status, 200);
    assert.ok(Object.keys(MODELS).includes("simple"));
  });
});
