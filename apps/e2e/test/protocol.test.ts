// The Open Inference Protocol over the whole platform, where no recorded conversation shows it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Metadata, credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { GRPCInferenceService, ModelInferRequestSchema, ModelInferResponseSchema, type ModelInferRequest } from "@servable/contracts/open-inference/grpc_service";
import { StatusError, type Reason } from "@servable/errors";
import { createChannel, createClient, type Channel } from "@servable/grpc";
import { decodeBytesElements, tensorOf, type Datatype } from "@servable/tensor";
import { addSubModel, identityModel, tempDir } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";

const reason = (...wanted: Reason[]) => (error: unknown) => error instanceof StatusError && wanted.includes(error.reason);
const NUMBERS: readonly Datatype[] = ["BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BF16"];

describe("the protocol over the platform", () => {
  let platform: TestPlatform;
  let channel: Channel;
  before(async () => {
    platform = await TestPlatform.create({ replicas: 2 });
    using directory = tempDir();
    const models = { simple: addSubModel("FP32"), ...Object.fromEntries(NUMBERS.map((datatype) => [`echo_${datatype.toLowerCase()}`, identityModel(datatype)])) };
    await Promise.all(
      Object.entries(models).map(async ([model, bytes]) => {
        const file = join(directory.path, `${model}.onnx`);
        writeFileSync(file, bytes);
        await platform.client.models.importFile({ model, file, servingConfigJson: '{"max_batch_size": 8}' });
        await platform.client.deployments.deploy({ model });
      }),
    );
    channel = createChannel(platform.platform.grpcAddress);
  });
  after(async () => {
    channel.close();
    await platform[Symbol.asyncDispose]();
  });
  const withKey = (extra: Record<string, string> = {}) => ({ metadata: { authorization: `Bearer ${platform.apiKey}`, ...extra } });
  const client = () => createClient(GRPCInferenceService, channel);
  const post = (path: string, body: unknown) => platform.fetch(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  const echo = (datatype: Datatype, values: readonly unknown[]) => {
    const { data, shape } = tensorOf(datatype, [1, values.length], values);
    return { modelName: `echo_${datatype.toLowerCase()}`, inputs: [{ name: "INPUT0", datatype, shape: shape.map(BigInt) }], rawInputContents: [data] };
  };
  const simple = (id = "") => {
    const { data } = tensorOf("FP32", [1, 16], Array.from({ length: 16 }, (_, index) => index));
    return { modelName: "simple", id, inputs: ["INPUT0", "INPUT1"].map((name) => ({ name, datatype: "FP32", shape: [1n, 16n] })), rawInputContents: [data, data] };
  };

  for (const datatype of NUMBERS) {
    it(`${datatype} comes back as it was sent`, async () => {
      const request = echo(datatype, datatype === "BOOL" ? [true, false] : datatype.endsWith("64") && !datatype.startsWith("FP") ? [9007199254740993n, 1n] : [100, 1]);

      const { rawOutputContents, outputs } = await client().modelInfer(request, withKey());

      assert.deepEqual(Buffer.from(rawOutputContents[0] ?? []), Buffer.from(request.rawInputContents[0] ?? []));
      assert.equal(outputs[0]?.datatype, datatype);
    });
  }

  it("answers the highest values as texts, over gRPC and REST", async () => {
    const request = { ...simple(), outputs: [{ name: "OUTPUT0", parameters: { classification: { parameterChoice: { case: "int64Param" as const, value: 2n } } } }] };
    const { outputs, rawOutputContents } = await client().modelInfer(request, withKey());
    assert.deepEqual([outputs[0]?.datatype, outputs[0]?.shape], ["BYTES", [1n, 2n]]);
    assert.deepEqual(decodeBytesElements(rawOutputContents[0] ?? new Uint8Array(), 2).map((text) => Buffer.from(text).toString()), ["30.000000:15", "28.000000:14"]);

    const values = Array.from({ length: 16 }, (_, index) => index);
    const input = (name: string) => ({ name, datatype: "FP32", shape: [1, 16], data: values });
    const answer = await post("/v2/models/simple/infer", { inputs: [input("INPUT0"), input("INPUT1")], outputs: [{ name: "OUTPUT0", parameters: { classification: 1 } }] });
    assert.deepEqual(((await answer.json()) as { outputs: { data: string[] }[] }).outputs[0]?.data, ["30.000000:15"]);
  });

  it("streams in the form that the caller chose", async () => {
    const usual = await Array.fromAsync(client().modelStreamInfer([simple("a"), { modelName: "nowhere", id: "b" }, simple("c")], withKey()));
    assert.deepEqual(usual.map(({ inferResponse }) => inferResponse?.id).toSorted(), ["a", "b", "c"]);
    await assert.rejects(Array.fromAsync(client().modelStreamInfer([{ ...simple("a"), outputs: [{ name: "nope" }] }], withKey({ triton_grpc_error: "true" }))), reason("OUTPUT_UNKNOWN"));

    const bare = await bareStream(platform.platform.grpcAddress, platform.apiKey, create(ModelInferRequestSchema, simple("m")));
    assert.deepEqual(bare.map(({ id, outputs }) => [id, outputs.length]), [["m", 2]]);
  });

  it("takes requests that are compressed", async () => {
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${platform.apiKey}`);
    const Client = makeGenericClientConstructor({}, "any");
    const grpc = new Client(platform.platform.grpcAddress, credentials.createInsecure(), { "grpc.default_compression_algorithm": 2 });
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    grpc.makeUnaryRequest("/inference.GRPCInferenceService/ModelInfer", (bytes: Uint8Array) => Buffer.from(bytes), (bytes: Buffer) => bytes, toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, simple("z"))), metadata, (error, answer) => (error === null && answer !== undefined ? resolve(answer) : reject(error ?? new Error("no answer"))));
    assert.equal(fromBinary(ModelInferResponseSchema, await promise).id, "z");
    grpc.close();
  });

  it("loads files that come with the call as new versions, and takes none that cannot be served", async () => {
    const config = { parameterChoice: { case: "stringParam" as const, value: '{"max_batch_size":"4"}' } };
    const bytes = (value: Uint8Array) => ({ parameterChoice: { case: "bytesParam" as const, value } });
    await client().repositoryModelLoad({ modelName: "brought", parameters: { config, "file:1/model.onnx": bytes(identityModel("INT32")) } }, withKey());
    const metadata = await client().modelMetadata({ name: "brought" }, withKey());
    assert.deepEqual([metadata.versions, metadata.inputs[0]?.datatype], [["1"], "INT32"]);
    assert.equal((await client().modelConfig({ name: "brought" }, withKey())).config?.maxBatchSize, 4);

    const parameters = { config: '{"max_batch_size": 2}', "file:2/model.onnx": Buffer.from(identityModel("FP64")).toString("base64") };
    assert.equal((await post("/v2/repository/models/brought/load", { parameters })).status, 200);
    const second = (await (await platform.fetch("/v2/models/brought")).json()) as { inputs: { datatype: string }[] };
    assert.equal(second.inputs[0]?.datatype, "FP64");

    assert.equal((await client().modelReady({ name: "brought", version: "1" }, withKey())).ready, false);

    // The same files again are the version that is there; a configuration chooses among versions.
    await client().repositoryModelLoad({ modelName: "brought", parameters: { config, "file:1/model.onnx": bytes(identityModel("INT32")) } }, withKey());
    assert.deepEqual((await client().modelMetadata({ name: "brought" }, withKey())).versions, ["1"]);
    const both = { parameterChoice: { case: "stringParam" as const, value: '{"version_policy":{"all":{}}}' } };
    await client().repositoryModelLoad({ modelName: "brought", parameters: { config: both } }, withKey());
    assert.deepEqual((await client().modelMetadata({ name: "brought" }, withKey())).versions, ["1", "2"]);
    await client().repositoryModelLoad({ modelName: "numbered", parameters: { config, "file:7/model.onnx": bytes(identityModel("INT8")) } }, withKey());
    assert.equal((await client().modelReady({ name: "numbered", version: "7" }, withKey())).ready, true);

    const broken = await post("/v2/repository/models/brought/load", { parameters: { config: "{}", "file:3/model.onnx": Buffer.from("no model").toString("base64") } });
    assert.notEqual(broken.status, 200);
    assert.match(await broken.text(), /failed to load 'brought'/);
    assert.equal((await client().modelReady({ name: "brought" }, withKey())).ready, true);
    await assert.rejects(client().repositoryModelLoad({ modelName: "never", parameters: { config, "file:1/model.onnx": bytes(Buffer.from("no model")) } }, withKey()), (error: unknown) => error instanceof StatusError && error.message.startsWith("failed to load 'never'"));
    assert.deepEqual((await platform.client.models.list()).filter(({ name }) => name.endsWith("/never")), []);
  });

  it("changes trace settings of a model and of all", async () => {
    const values = async (answer: Promise<Response>) => (await (await answer).json()) as Record<string, unknown>;
    assert.equal((await values(post("/v2/models/simple/trace/setting", { trace_rate: "12" })))["trace_rate"], "12");
    assert.equal((await values(platform.fetch("/v2/trace/setting")))["trace_rate"], "1");
    assert.equal((await values(post("/v2/models/simple/trace/setting", { trace_rate: null })))["trace_rate"], "1");
    const file = await post("/v2/trace/setting", { trace_file: "x.json" });
    assert.equal(file.status, 501);
    assert.match(await file.text(), /can not be updated through network protocol/);
    assert.match(await (await post("/v2/models/does-not-exist/trace/setting", {})).text(), /Request for unknown model : does-not-exist/);
  });

  it("changes what the log holds", async () => {
    const log = async (body: object): Promise<Record<string, unknown>> => (await (await post("/v2/logging", body)).json()) as Record<string, unknown>;
    const before = await log({});

    assert.deepEqual(await log({ log_verbose_level: 1, log_info: true }), { ...before, log_verbose_level: 1, log_info: true });
    assert.deepEqual(await log({ log_verbose_level: before["log_verbose_level"], log_info: before["log_info"] }), before);
    assert.equal((await post("/v2/logging", { log_file: "x" })).status, 501);
  });

  it("generates from plain JSON", async () => {
    const answer = await post("/v2/models/echo_fp32/generate", { INPUT0: [1.5, 2] });

    assert.deepEqual(((await answer.json()) as Record<string, unknown>)["OUTPUT0"], [1.5, 2]);
  });

  it("adds statistics up over replicas", async () => {
    const before = (await client().modelStatistics({ name: "echo_int8" }, withKey())).modelStats[0]?.inferenceCount ?? 0n;
    for (let call = 0; call < 4; call += 1) await client().modelInfer(echo("INT8", [call]), withKey());

    assert.equal((await client().modelStatistics({ name: "echo_int8" }, withKey())).modelStats[0]?.inferenceCount, before + 4n);
  });
});

/** One request over a stream in MLServer's form. */
async function bareStream(address: string, apiKey: string, request: ModelInferRequest) {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${apiKey}`);
  metadata.set("servable-stream-form", "bare");
  const Client = makeGenericClientConstructor({}, "any");
  const grpc = new Client(address, credentials.createInsecure());
  const call = grpc.makeBidiStreamRequest("/inference.GRPCInferenceService/ModelStreamInfer", (bytes: Uint8Array) => Buffer.from(bytes), (bytes: Buffer) => bytes, metadata);
  call.write(toBinary(ModelInferRequestSchema, request));
  call.end();
  const answers = (await call.toArray()) as Buffer[];
  grpc.close();
  return answers.map((bytes) => fromBinary(ModelInferResponseSchema, bytes));
}
