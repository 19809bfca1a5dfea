import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fromBinary, toBinary, toJson, type DescMessage } from "@bufbuild/protobuf";
import { identityToMetadata } from "@servable/auth";
import { GRPCInferenceService, ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { DeploymentService } from "@servable/contracts/registry/v1/deployment";
import { StatusError } from "@servable/errors";
import { createChannel, createClient, rawStream, rawUnary, type Channel } from "@servable/grpc";
import { addSubModel, identityModel, repeatModel, simpleDynaSequenceModel, simpleSequenceModel, skipWithout, tempDir, type ModelFixture } from "@servable/testing";
import { TestPlatform } from "../src/test-platform.ts";
import { bytesOf, readLines, readTranscript, type Exchange } from "../src/transcript.ts";

// Conversations of the stock client, replayed against the whole platform and against a replica alone.

const SKIP = skipWithout("fixtures/oip-transcripts/simple_grpc_infer_client.jsonl");
const SHARED_MEMORY = { grpc: "simple_grpc_shm_client", http: "simple_http_shm_client" };
const GRPC = ["simple_grpc_infer_client", "grpc_explicit_byte_content_client", "grpc_explicit_int8_content_client", "simple_grpc_string_infer_client", "simple_grpc_health_metadata"];
const STREAMS = ["simple_grpc_sequence_stream_infer_client", "simple_grpc_custom_repeat"];
const HTTP = ["simple_http_infer_client", "simple_http_string_infer_client", "simple_http_sequence_sync_infer_client", "simple_http_health_metadata"];
/** Requests that must be refused, by the text that clients look for. */
const REFUSALS = [/failed to get model version from specified version string 'wrong_specification'/, /Request for unknown model/];

/** 1 to 16, then -1 to 14. */
const SUM_AND_DIFFERENCE = Array.from({ length: 32 }, (_, index) => (index < 16 ? index + 1 : index - 17));

const METHODS = new Map(GRPCInferenceService.methods.map((method) => [`/inference.GRPCInferenceService/${method.name}`, method]));

/** What differs between servers without meaning: counts, times, versions, lists of extensions. */
function comparable(schema: DescMessage, bytes: Uint8Array): unknown {
  const json = toJson(schema, fromBinary(schema, bytes)) as Record<string, unknown>;
  return strip(json);
}
const IGNORED = new Set(["lastInference", "ns", "count", "inferenceCount", "executionCount", "batchStats", "memoryUsage", "responseStats", "extensions", "inference_count", "last_inference", "execution_count", "batch_stats", "response_stats", "memory_usage"]);
function strip(value: unknown, key = ""): unknown {
  if (IGNORED.has(key)) return undefined;
  if (Array.isArray(value)) return value.map((each) => strip(each));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !(name === "version" && "extensions" in value));
  return Object.fromEntries(entries.map(([name, each]) => [name, strip(each, name)]).filter(([, each]) => each !== undefined));
}

/** Whether all that was recorded is in the answer; servers may say more (configuration has many fields). */
function assertContains(actual: unknown, expected: unknown, where: string): void {
  if (typeof expected !== "object" || expected === null) return assert.deepEqual(actual, expected, where);
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual) && actual.length === expected.length, `${where}: ${JSON.stringify(actual)} for ${JSON.stringify(expected)}`);
    return expected.forEach((each, index) => assertContains((actual as unknown[])[index], each, `${where}[${index}]`));
  }
  for (const [key, value] of Object.entries(expected)) assertContains((actual as Record<string, unknown> | undefined)?.[key], value, `${where}.${key}`);
}

describe("recorded clients", { skip: SKIP }, () => {
  let platform: TestPlatform;
  let gateway: Channel;
  let replica: Channel;
  before(async () => {
    platform = await TestPlatform.create({ env: { SERVABLE_SERVER_NAME: "triton" } });
    using directory = tempDir();
    const batched = (model: Uint8Array): ModelFixture => ({ model, config: '{"max_batch_size": 8}' });
    const models = {
      simple: batched(addSubModel()), simple_int8: batched(addSubModel("INT8")), simple_string: batched(addSubModel("BYTES")), simple_identity: batched(identityModel()),
      simple_sequence: simpleSequenceModel(), simple_dyna_sequence: simpleDynaSequenceModel(), simple_string_dyna_sequence: simpleDynaSequenceModel("BYTES"), repeat_int32: repeatModel(),
    };
    for (const [model, { model: bytes, config }] of Object.entries(models)) {
      const file = join(directory.path, `${model}.onnx`);
      writeFileSync(file, bytes);
      await platform.client.models.importFile({ model, file, servingConfigJson: config });
      await platform.client.deployments.deploy({ model });
    }
    gateway = createChannel(platform.platform.grpcAddress);
    const { replicas } = await createClient(DeploymentService, gateway, { metadata: { authorization: `Bearer ${platform.apiKey}` } }).listReplicas({});
    replica = createChannel(replicas[0]?.address ?? "", { token: platform.internalToken });
  });
  after(async () => {
    gateway.close();
    replica.close();
    await platform[Symbol.asyncDispose]();
  });

  const targets = {
    gateway: (path: string, bytes: Uint8Array) => rawUnary(gateway, path, bytes, { metadata: { authorization: `Bearer ${platform.apiKey}` } }),
    inference: (path: string, bytes: Uint8Array) => rawUnary(replica, path, bytes, { metadata: identityToMetadata({ project: "default", principal: "test", role: "developer" }) }),
  };
  const replay = async (call: (path: string, bytes: Uint8Array) => Promise<Uint8Array>, { request, response }: Exchange, where: string): Promise<void> => {
    const path = request.m ?? "";
    const method = METHODS.get(path);
    assert.ok(method !== undefined, path);
    if (response === undefined) {
      await assert.rejects(call(path, bytesOf(request)), (error: unknown) => error instanceof StatusError && REFUSALS.some((text) => text.test(error.message)), where);
      return;
    }
    assertContains(comparable(method.output, await call(path, bytesOf(request))), comparable(method.output, bytesOf(response)), where);
  };

  for (const [target, call] of Object.entries(targets)) {
    for (const name of GRPC) {
      it(`${name} talks to the ${target} unchanged`, async () => {
        for (const [index, exchange] of readTranscript(name).entries()) await replay(call, exchange, `${name} ${index} ${exchange.request.m}`);
      });
    }
  }

  for (const [target, call] of Object.entries(targets)) {
    it(`${SHARED_MEMORY.grpc} talks to the ${target} unchanged, and finds its answer in shared memory`, async () => {
      using memory = sharedMemoryOfClient();
      for (const [index, exchange] of readTranscript(SHARED_MEMORY.grpc).entries()) await replay(call, exchange, `${SHARED_MEMORY.grpc} ${index} ${exchange.request.m}`);
      assert.deepEqual(memory.output(), SUM_AND_DIFFERENCE);
    });
  }

  it(`${SHARED_MEMORY.http} talks to the gateway unchanged, and finds its answer in shared memory`, async () => {
    using memory = sharedMemoryOfClient();
    await replayHttp(SHARED_MEMORY.http);
    assert.deepEqual(memory.output(), SUM_AND_DIFFERENCE);
  });

  const streams = {
    gateway: (path: string, requests: AsyncIterable<Uint8Array>) => rawStream(gateway, path, requests, { metadata: { authorization: `Bearer ${platform.apiKey}` } }),
    inference: (path: string, requests: AsyncIterable<Uint8Array>) => rawStream(replica, path, requests, { metadata: identityToMetadata({ project: "default", principal: "test", role: "developer" }) }),
  };
  for (const [target, call] of Object.entries(streams)) {
    for (const name of STREAMS) {
      it(`${name} streams with the ${target} unchanged`, async () => {
        const lines = readLines(name);
        const [path] = lines.map(({ m = "" }) => m);
        const method = METHODS.get(path ?? "");
        assert.ok(path !== undefined && method !== undefined);
        async function* requests(): AsyncGenerator<Uint8Array> {
          for (const line of lines.filter(({ dir }) => dir === "req")) yield hurried(bytesOf(line));
        }

        const answers = (await Array.fromAsync(call(path, requests()))).map((bytes) => comparable(method.output, bytes));

        const expected = lines.filter(({ dir }) => dir === "res").map((line) => comparable(method.output, bytesOf(line)));
        for (const sequence of new Set(expected.map(sequenceOf))) {
          const [ours, theirs] = [answers, expected].map((all) => all.filter((answer) => sequenceOf(answer) === sequence));
          assertContains(ours, theirs, `${name} ${sequence}`);
        }
        assert.equal(answers.length, expected.length);
      });
    }
  }

  const replayHttp = async (name: string): Promise<void> => {
    for (const [index, { request, response }] of readTranscript(name).entries()) {
      const where = `${name} ${index} ${request.url}`;
      const headers = Object.fromEntries(Object.entries(request.headers ?? {}).filter(([key]) => key !== "content-length"));
      const answer = await platform.fetch(request.url ?? "", { method: request.method ?? "GET", headers, ...(request.method === "POST" ? { body: Buffer.from(bytesOf(request)) } : {}) });
      const body = Buffer.from(await answer.arrayBuffer());
      assert.equal(answer.status, response?.status, where);
      if (response === undefined || answer.status !== 200 || body.length === 0) continue;
      if (request.url?.endsWith("sharedmemory/status") === true) {
        const byName = (bytes: Uint8Array) => (JSON.parse(Buffer.from(bytes).toString()) as { name: string }[]).toSorted((a, b) => (a.name < b.name ? -1 : 1));
        assert.deepEqual(byName(body), byName(bytesOf(response)), where);
        continue;
      }
      const expected = split(Buffer.from(bytesOf(response)));
      if (expected === undefined) continue;
      const headerBytes = Number(answer.headers.get("inference-header-content-length") ?? body.length);
      const json = strip(JSON.parse(body.toString("utf8", 0, headerBytes)));
      if (request.url?.endsWith("/v2") === false) assertContains(json, strip(expected.json), where);
      assert.deepEqual(body.subarray(headerBytes), expected.binary, `${where}: binary part`);
    }
  };
  for (const name of HTTP) it(`${name} talks to the gateway unchanged`, () => replayHttp(name));

  it("the index lists our models as the recorded one does", async () => {
    const [index] = readTranscript("simple_grpc_model_control");
    assert.match(index?.request.m ?? "", /RepositoryIndex/);
    const method = METHODS.get(index?.request.m ?? "");
    assert.ok(method !== undefined && index?.response !== undefined);
    const models = (bytes: Uint8Array) => (comparable(method.output, bytes) as { models: { name: string }[] }).models;
    const ours = models(await targets.gateway(index.request.m ?? "", bytesOf(index.request)));

    const recorded = models(bytesOf(index.response));
    assert.equal(recorded.length, 8);
    assertContains(ours.toSorted((a, b) => (a.name < b.name ? -1 : 1)), recorded.toSorted((a, b) => (a.name < b.name ? -1 : 1)), "index");
  });

  it("load with a configuration is in force when the call returns, and unload ends serving", async () => {
    const exchanges = readTranscript("simple_grpc_model_control").filter(({ request }) => !/RepositoryIndex/.test(request.m ?? ""));
    for (const [index, { request, response }] of exchanges.entries()) {
      const path = request.m ?? "";
      const method = METHODS.get(path);
      assert.ok(method !== undefined);
      const where = `model control ${index} ${path} ${JSON.stringify(toJson(method.input, fromBinary(method.input, bytesOf(request)))).slice(0, 120)}`;
      if (response === undefined) await assert.rejects(targets.gateway(path, bytesOf(request)), (error: unknown) => error instanceof StatusError && /failed to load|failed to poll/.test(error.message), where);
      else assertContains(comparable(method.output, await targets.gateway(path, bytesOf(request))), comparable(method.output, bytesOf(response)), where);
    }
  });
});

/** What the recorded client made before it called: 0 to 15 and 16 ones, and a place for the answer. */
function sharedMemoryOfClient(): Disposable & { output(): number[] } {
  const paths = ["input_simple", "output_simple"].map((name) => `/dev/shm/${name}`);
  const [input = "", output = ""] = paths;
  writeFileSync(input, new Uint8Array(Int32Array.from({ length: 32 }, (_, index) => (index < 16 ? index : 1)).buffer));
  writeFileSync(output, new Uint8Array(128));
  return {
    output: () => [...new Int32Array(new Uint8Array(readFileSync(output)).buffer)],
    [Symbol.dispose]: () => paths.forEach((path) => rmSync(path, { force: true })),
  };
}

/** The sequence that an answer belongs to: its request's id is "<sequence>_<n>". Only within one is there an order. */
function sequenceOf(answer: unknown): string {
  const { inferResponse: { id = "" } = {} } = answer as { inferResponse?: { id?: string } };
  return id.replace(/_\d+$/, "");
}

/** A request to the repeating model without its pauses of a second each. */
function hurried(bytes: Uint8Array): Uint8Array {
  const request = fromBinary(ModelInferRequestSchema, bytes);
  const delay = request.inputs.findIndex(({ name }) => name === "DELAY");
  if (delay === -1) return bytes;
  request.rawInputContents[delay] = new Uint8Array(request.rawInputContents[delay]?.length ?? 0);
  return toBinary(ModelInferRequestSchema, request);
}

/** A recorded body as its JSON and what follows it: the JSON ends where its outermost brace closes. */
function split(body: Buffer): { json: unknown; binary: Buffer } | undefined {
  if (body[0] !== 0x7b) return undefined;
  let depth = 0;
  let quoted = false;
  for (let index = 0; index < body.length; index++) {
    const byte = body[index];
    if (byte === 0x5c && quoted) index++;
    else if (byte === 0x22) quoted = !quoted;
    else if (!quoted && byte === 0x7b) depth++;
    else if (!quoted && byte === 0x7d && --depth === 0) return { json: JSON.parse(body.toString("utf8", 0, index + 1)) as unknown, binary: body.subarray(index + 1) };
  }
  return undefined;
}
