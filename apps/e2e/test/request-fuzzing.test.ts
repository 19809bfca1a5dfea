// Requests that nobody would send, for SERVABLE_FUZZ_SECONDS (12) in all. Whatever comes in, the platform answers with a status of
// the protocol, stays alive, keeps its memory, and answers the next good request right. SERVABLE_SEED repeats a run.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelInferResponseSchema, type ModelInferRequest } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { createChannel, rawUnary, type Channel } from "@servable/grpc";
import { checkByteCount, elementsOf, isDatatype, tensorOf } from "@servable/tensor";
import { addSubModel, identityModel, seededRandom, tempDir } from "@servable/testing";
import { mutateBytes } from "../src/fuzz/mutate-bytes.ts";
import { mutateInferRequest } from "../src/fuzz/mutate-infer-request.ts";
import { mutateRestInfer } from "../src/fuzz/mutate-rest-infer.ts";
import { residentBytes } from "../src/process-memory.ts";
import { TestPlatform } from "../src/test-platform.ts";

const FUZZ_MS = (1_000 * Number(process.env["SERVABLE_FUZZ_SECONDS"] ?? 12)) / 3;
const INFER = "/inference.GRPCInferenceService/ModelInfer";
/** Valid calls are mixed in, one after this many strange ones. */
const CHECK_EVERY = 25;
/** Requests are small; what a service keeps of them must not add up. */
const GROWTH_BYTES_MAX = 384 * 1024 * 1024;

/** What a strange request may be answered with. */
const GRPC_CODES = new Set(["OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"]);
const HTTP_STATUSES = new Set([200, 400, 404, 405, 413, 501]);

describe("requests that nobody would send", { timeout: 4 * FUZZ_MS + 120_000 }, () => {
  const seed = process.env["SERVABLE_SEED"] === undefined ? undefined : Number(process.env["SERVABLE_SEED"]);
  const random = seededRandom(seed);
  const directory = tempDir();
  let platform: TestPlatform;
  let channel: Channel;
  let pidsBefore: Record<string, number>;
  let bytesBefore: number;
  const resident = (): number => Object.values(platform.platform.pids()).reduce((sum, pid) => sum + residentBytes(pid), 0);

  const models = { add_sub: addSubModel(), add_sub_text: addSubModel("BYTES"), add_sub_int8: addSubModel("INT8"), echo: identityModel(), echo_fp16: identityModel("FP16"), echo_fp32: identityModel("FP32") };
  before(async () => {
    platform = await TestPlatform.create({ trace: false });
    for (const [model, bytes] of Object.entries(models)) {
      const file = join(directory.path, `${model}.onnx`);
      writeFileSync(file, bytes);
      await platform.client.models.importFile({ model, file, servingConfigJson: '{"max_batch_size": 8}' });
      await platform.client.deployments.deploy({ model });
    }
    channel = createChannel(platform.platform.grpcAddress);
    await goodRequest();
    pidsBefore = platform.platform.pids();
    bytesBefore = resident();
  });
  after(async () => {
    channel.close();
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  const row = (datatype: "INT32" | "INT8" | "BYTES" | "FP16" | "FP32") => tensorOf(datatype, [1, 16], Array.from({ length: 16 }, (_, index) => (datatype === "BYTES" ? String(index) : index)));
  const goodRequest = async (): Promise<void> => {
    const { outputs } = await platform.client.inference.infer({ model: "add_sub", inputs: { INPUT0: row("INT32"), INPUT1: row("INT32") } });
    assert.deepEqual(elementsOf(outputs["OUTPUT0"] as ReturnType<typeof row>), Array.from({ length: 16 }, (_, index) => 2 * index));
  };
  const valid = (modelName: string, inputs: Record<string, ReturnType<typeof row>>): ModelInferRequest =>
    create(ModelInferRequestSchema, { modelName, id: "1", inputs: Object.entries(inputs).map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })), rawInputContents: Object.values(inputs).map(({ data }) => data as Uint8Array<ArrayBuffer>) });
  const corpus = [
    valid("add_sub", { INPUT0: row("INT32"), INPUT1: row("INT32") }),
    valid("add_sub_text", { INPUT0: row("BYTES"), INPUT1: row("BYTES") }),
    valid("add_sub_int8", { INPUT0: row("INT8"), INPUT1: row("INT8") }),
    valid("echo", { INPUT0: row("BYTES") }),
    valid("echo_fp16", { INPUT0: row("FP16") }),
    valid("echo_fp32", { INPUT0: row("FP32") }),
  ];
  const json = corpus.filter(({ modelName }) => modelName !== "echo_fp16").map((request) => ({
    model: request.modelName,
    body: { id: "1", inputs: request.inputs.map(({ name, datatype }, index) => ({ name, datatype, shape: [1, 16], data: datatype === "BYTES" ? Array<string>(16).fill("1") : Array.from({ length: 16 }, (_, at) => at + index) })), outputs: [{ name: "OUTPUT0" }] },
  }));

  /** Calls until the time is over; what was not answered as it should be comes back, with how to repeat it. */
  const fuzz = async (call: () => Promise<{ readonly status: string | number; readonly message: string; readonly sent: string } | undefined>): Promise<number> => {
    const endMs = Date.now() + FUZZ_MS;
    let count = 0;
    while (Date.now() < endMs) {
      const refused = await call();
      if (refused !== undefined) assert.fail(`seed ${random.seed}, request ${count}: ${refused.status} ${refused.message.slice(0, 500)}\nsent: ${refused.sent.slice(0, 4_000)}`);
      if (++count % CHECK_EVERY === 0) await goodRequest();
    }
    return count;
  };

  const grpc = async (bytes: Uint8Array) => {
    const outcome = await rawUnary(channel, INFER, bytes, { metadata: { authorization: `Bearer ${platform.apiKey}` }, timeoutMs: 30_000 }).then(
      (answer) => ({ status: complaintAbout(answer) ?? "OK", message: "" }),
      (error: unknown) => ({ status: error instanceof StatusError ? error.code : "UNKNOWN", message: String(error) }),
    );
    return GRPC_CODES.has(outcome.status) ? undefined : { ...outcome, sent: Buffer.from(bytes).toString("base64") };
  };

  it("as messages with strange contents get a status of the protocol", async (context) => {
    const count = await fuzz(() => grpc(toBinary(ModelInferRequestSchema, mutateInferRequest(random.pick(corpus), random))));

    context.diagnostic(`${count} requests, seed ${random.seed}`);
  });

  it("as bytes that are hardly messages get a status of the protocol", async (context) => {
    const messages = corpus.map((request) => toBinary(ModelInferRequestSchema, request));
    const count = await fuzz(() => grpc(mutateBytes(random.pick(messages), random)));

    context.diagnostic(`${count} requests, seed ${random.seed}`);
  });

  it("over REST get a status of the protocol", async (context) => {
    const { httpAddress } = platform.platform;
    const [host, port] = [httpAddress.slice(0, httpAddress.lastIndexOf(":")), Number(httpAddress.split(":").at(-1))];
    const count = await fuzz(async () => {
      const { model, body: good } = random.pick(json);
      const { path, headers, body } = mutateRestInfer(model, good, random);
      const { promise, resolve } = Promise.withResolvers<{ status: number; message: string }>();
      const sent = httpRequest({ host, port, path, method: "POST", headers: { ...headers, "x-api-key": platform.apiKey } }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, message: Buffer.concat(parts).toString("latin1", 0, 1_000) }));
      });
      sent.on("error", (error) => resolve({ status: 0, message: String(error) }));
      sent.end(body);
      const { status, message } = await promise;
      const explained = status === 200 || /"error":\s*"[^"]/.test(message);
      return HTTP_STATUSES.has(status) && explained ? undefined : { status, message, sent: `${path} ${JSON.stringify(headers)} ${Buffer.from(body).toString("latin1")}` };
    });

    context.diagnostic(`${count} requests, seed ${random.seed}`);
  });

  it("leave the processes alive and no larger than they were", async () => {
    await goodRequest();

    assert.deepEqual(platform.platform.pids(), pidsBefore);
    assert.ok(resident() - bytesBefore < GROWTH_BYTES_MAX, `the services grew from ${bytesBefore} to ${resident()} bytes`);
  });
});

/** What is wrong with an answer that says OK. */
function complaintAbout(answer: Uint8Array): string | undefined {
  try {
    const { outputs, rawOutputContents } = fromBinary(ModelInferResponseSchema, answer);
    outputs.forEach(({ name, datatype, shape }, index) => {
      if (!isDatatype(datatype)) throw new Error(`output ${name} has the datatype ${datatype}`);
      checkByteCount({ datatype, shape: shape.map(Number), data: rawOutputContents[index] ?? new Uint8Array() }, name);
    });
    return undefined;
  } catch (error) {
    return `an answer that contradicts itself: ${String(error)}`;
  }
}
