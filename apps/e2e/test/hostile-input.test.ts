// What strangers send to an open port. Each is answered with the status that the documentation gives it, or hung up on where
// there is nothing left to answer; memory stays within its bound, and the next good request is right.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, afterEach, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { elementsOf, tensorOf, type Tensor } from "@servable/tensor";
import { identityModel, tempDir } from "@servable/testing";
import { descendantsOf, residentBytes } from "../src/process-memory.ts";
import { grpcFrame, openHttp2, openSocket, rawGrpc, rawHttpStatus } from "../src/raw-clients.ts";
import { TestPlatform } from "../src/test-platform.ts";

const INFER = "/inference.GRPCInferenceService/ModelInfer";
const STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer";
const MIB = 1024 ** 2;
/** Largest message of this platform; small, so that little is needed to reach the bounds. */
const MESSAGE_BYTES_MAX = 8 * MIB;
/** What all services and engines together may grow by: the bodies that may be held, each a few times over on its way, and slack. */
const GROWTH_BYTES_MAX = 1_200 * MIB;
/** Numbers of gRPC's statuses (grpc/status.h). */
const STATUS = { OK: 0, INVALID_ARGUMENT: 3, DEADLINE_EXCEEDED: 4, NOT_FOUND: 5, RESOURCE_EXHAUSTED: 8, UNIMPLEMENTED: 12, INTERNAL: 13, UNAVAILABLE: 14 };

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("an open port", { timeout: 240_000, skip: process.platform !== "linux" && "needs /proc" }, () => {
  const directory = tempDir();
  let platform: TestPlatform;
  let pids: Record<string, number>;
  let bytesBefore = 0;
  const resident = (): number => Object.values(platform.platform.pids()).flatMap((pid) => [pid, ...descendantsOf(pid)]).reduce((sum, pid) => sum + residentBytes(pid), 0);
  const pair = tensorOf("FP32", [1, 2], [1.5, -2]);
  const goodRequest = async (): Promise<void> => {
    const { outputs } = await platform.client.inference.infer({ model: "echo", inputs: { INPUT0: pair }, timeoutMs: 60_000 });
    assert.deepEqual(elementsOf(outputs["OUTPUT0"] as Tensor), [1.5, -2]);
  };

  before(async () => {
    platform = await TestPlatform.create({ trace: false, env: { SERVABLE_AUTH: "none", SERVABLE_MESSAGE_BYTES_MAX: String(MESSAGE_BYTES_MAX) } });
    for (const [model, bytes] of Object.entries({ echo: identityModel("FP32"), echo_uint8: identityModel("UINT8") })) {
      const file = join(directory.path, `${model}.onnx`);
      writeFileSync(file, bytes);
      await platform.client.models.importFile({ model, file });
      await platform.client.deployments.deploy({ model });
    }
    await goodRequest();
    pids = platform.platform.pids();
    bytesBefore = resident();
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });
  beforeEach(() => assert.deepEqual(platform.platform.pids(), pids));
  afterEach(async () => {
    await goodRequest();
    assert.deepEqual(platform.platform.pids(), pids);
    const grownBytes = resident() - bytesBefore;
    assert.ok(grownBytes < GROWTH_BYTES_MAX, `all processes grew by ${Math.round(grownBytes / MIB)} MiB: ${Object.entries(platform.platform.pids()).map(([service, pid]) => `${service} has ${Math.round(residentBytes(pid) / MIB)}`).join(", ")}`);
  });

  const tensor = (shape: string, data: string): string => `{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":${shape},"data":${data}}]}`;
  const bytes = (shape: string, data: string): string => tensor(shape, data).replace("FP32", "UINT8");
  const json: readonly { readonly what: string; readonly body: string; readonly model?: string; readonly error: RegExp }[] = [
    { what: "a shape of 2^62 elements", body: tensor("[1,4611686018427387904]", "[1]"), error: /INPUT0.*exceed maximum size/ },
    { what: "a shape whose product wraps around", body: tensor("[4294967296,4294967296]", "[]"), error: /INPUT0.*exceed maximum size/ },
    { what: "a negative dimension", body: tensor("[1,-1]", "[1]"), error: /INPUT0.*Unable to parse 'shape'/ },
    { what: "a dimension with a fraction", body: tensor("[1,1.5]", "[1]"), error: /INPUT0.*Unable to parse 'shape'/ },
    { what: "two million dimensions", body: tensor(`[${"1,".repeat(2_000_000)}1]`, "[1]"), error: /INPUT0.*dimensions/ },
    { what: "fewer values than the shape takes", body: tensor("[1,3]", "[1,2]"), error: /INPUT0.*takes 3 values, got 2/ },
    { what: "a number above UINT8", model: "echo_uint8", body: bytes("[1,1]", "[300]"), error: /INPUT0.*300 does not fit UINT8/ },
    { what: "a number below UINT8", model: "echo_uint8", body: bytes("[1,1]", "[-1]"), error: /INPUT0.*-1 does not fit UINT8/ },
    { what: "a number above FP32", body: tensor("[1,1]", "[1e39]"), error: /INPUT0.*does not fit FP32/ },
    { what: "a number of a million digits", model: "echo_uint8", body: bytes("[1,1]", `[${"9".repeat(1_000_000)}]`), error: /INPUT0/ },
    { what: "NaN, which is no JSON", body: tensor("[1,1]", "[NaN]"), error: /no valid JSON/ },
    { what: "null for a number", body: tensor("[1,1]", "[null]"), error: /INPUT0.*must be a number/ },
    { what: "a million nested lists", body: tensor("[1,1]", `${"[".repeat(1_000_000)}1${"]".repeat(1_000_000)}`), error: /JSON nesting depth exceeds maximum allowed limit \(100\)/ },
    { what: "half a document", body: tensor("[1,1]", "[1]").slice(0, 40), error: /no valid JSON/ },
  ];
  for (const { what, body, model = "echo", error } of json) {
    it(`refuses ${what}`, async () => {
      const response = await platform.fetch(`/v2/models/${model}/infer`, { method: "POST", body });

      assert.equal(response.status, 400);
      assert.match(((await response.json()) as { error: string }).error, error);
    });
  }

  const http: readonly { readonly what: string; readonly headers: string; readonly body?: Uint8Array; readonly status: number | undefined }[] = [
    { what: "a body that unpacks to a gigabyte", headers: "content-encoding: gzip\r\n", body: gzipSync(Buffer.alloc(1024 * MIB)), status: 413 },
    { what: "a compression that is not served", headers: "content-encoding: br\r\n", body: Buffer.from("x"), status: 400 },
    { what: "a compression that is not there", headers: "content-encoding: gzip\r\n", body: Buffer.from("x"), status: 400 },
    { what: "a body above the limit", headers: "", body: Buffer.alloc(MESSAGE_BYTES_MAX + 1, "1"), status: 413 },
    { what: "a hundred thousand headers", headers: Array.from({ length: 100_000 }, (_, index) => `h${index}: v\r\n`).join(""), status: 431 },
    { what: "a header of ten megabytes", headers: `h: ${"x".repeat(10_000_000)}\r\n`, status: 431 },
  ];
  for (const { what, headers, body = Buffer.from("{}"), status } of http) {
    it(`answers ${what} with ${status}`, async () => {
      assert.equal(await rawHttpStatus(platform.platform.httpAddress, [`POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n`, headers, "\r\n", body]), status);
    });
  }

  it("lets callers go who close their half in the middle of a body", async () => {
    const ends = await Promise.all(Array.from({ length: 50 }, () => rawHttpStatus(platform.platform.httpAddress, ["POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"], { halfClose: true })));

    assert.deepEqual(new Set(ends), new Set([400]));
  });

  const message = (shape: readonly bigint[], data: Uint8Array): Uint8Array => toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName: "echo", inputs: [{ name: "INPUT0", datatype: "FP32", shape: [...shape] }], rawInputContents: [data as Uint8Array<ArrayBuffer>] }));
  const good = message([1n, 2n], pair.data);
  const calls: readonly { readonly what: string; readonly frame: Uint8Array; readonly headers?: Readonly<Record<string, string>>; readonly status: number | undefined }[] = [
    { what: "a shape of 2^62 elements", frame: grpcFrame(message([1n, 2n ** 62n], pair.data)), status: STATUS.INVALID_ARGUMENT },
    { what: "a shape whose product wraps around", frame: grpcFrame(message([2n ** 32n, 2n ** 32n], pair.data)), status: STATUS.INVALID_ARGUMENT },
    { what: "a negative dimension", frame: grpcFrame(message([-1n, 2n], pair.data)), status: STATUS.INVALID_ARGUMENT },
    { what: "fewer bytes than the shape takes", frame: grpcFrame(message([1n, 3n], pair.data)), status: STATUS.INVALID_ARGUMENT },
    { what: "a message that unpacks to a gigabyte", frame: grpcFrame(gzipSync(Buffer.alloc(1024 * MIB)), { flag: 1 }), headers: { "grpc-encoding": "gzip" }, status: STATUS.RESOURCE_EXHAUSTED },
    { what: "a compression that is not served", frame: grpcFrame(good, { flag: 1 }), headers: { "grpc-encoding": "snappy" }, status: STATUS.UNIMPLEMENTED },
    { what: "a length of four gigabytes", frame: grpcFrame(good, { length: 2 ** 32 - 1 }), status: STATUS.RESOURCE_EXHAUSTED },
    { what: "no message at all", frame: Buffer.alloc(0), status: STATUS.UNIMPLEMENTED },
    { what: "bytes that are no message", frame: grpcFrame(Buffer.alloc(1_000, 255)), status: STATUS.INVALID_ARGUMENT },
    { what: "no model", frame: grpcFrame(Buffer.alloc(0)), status: STATUS.NOT_FOUND },
    { what: "a deadline that has passed", frame: grpcFrame(good), headers: { "grpc-timeout": "1n" }, status: STATUS.DEADLINE_EXCEEDED },
  ];
  for (const { what, frame, headers = {}, status } of calls) {
    it(`answers a call with ${what} with status ${status}`, async () => {
      const session = await openHttp2(platform.platform.grpcAddress);
      try {
        const end = await rawGrpc(session, INFER, headers, frame);

        assert.equal(end.status, status, JSON.stringify(end));
        assert.doesNotMatch(end.message, /\.sock|127\.0\.0\.1/);
      } finally {
        session.destroy();
      }
    });
  }

  it("refuses metadata of a megabyte or of two thousand entries, and serves the next call", async () => {
    for (const headers of [{ "x-large": "b".repeat(1_000_000) }, Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`h${index}`, "v"]))]) {
      const session = await openHttp2(platform.platform.grpcAddress);
      const end = await rawGrpc(session, INFER, headers, grpcFrame(good));
      session.destroy();

      assert.notEqual(end.status, STATUS.OK);
      assert.notEqual(end.status, STATUS.INTERNAL);
    }
  });

  it("serves beside fifteen hundred connections that say nothing", async () => {
    const { httpAddress, grpcAddress } = platform.platform;
    const idle = await Promise.all(Array.from({ length: 1_500 }, (_, index) => openSocket(index % 2 === 0 ? httpAddress : grpcAddress)));

    await goodRequest();
    for (const socket of idle) socket.destroy();
  });

  it("serves beside callers who send a byte now and then", async () => {
    const slow = await Promise.all(Array.from({ length: 200 }, () => openSocket(platform.platform.httpAddress)));
    for (const socket of slow) socket.write(`POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: ${MESSAGE_BYTES_MAX}\r\n\r\n`.padEnd(10_000, " "));
    for (let round = 0; round < 5; round++) {
      for (const socket of slow) socket.write(" ");
      await goodRequest();
    }
    for (const socket of slow) socket.destroy();
  });

  it("holds no more than its bound for callers who never read their answers", async () => {
    const count = MESSAGE_BYTES_MAX / 8;
    const head = JSON.stringify({ inputs: [{ name: "INPUT0", datatype: "FP32", shape: [1, count], parameters: { binary_data_size: 4 * count } }], parameters: { binary_data_output: true } });
    const body = Buffer.concat([Buffer.from(`POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ninference-header-content-length: ${head.length}\r\ncontent-length: ${head.length + 4 * count}\r\n\r\n${head}`), Buffer.alloc(4 * count)]);
    const sockets = await Promise.all(Array.from({ length: 60 }, () => openSocket(platform.platform.httpAddress)));
    for (const socket of sockets) {
      socket.pause();
      socket.write(body);
    }
    for (let round = 0; round < 10; round++) {
      await goodRequest();
      await sleep(100);
    }
    for (const socket of sockets) socket.destroy();
  });

  it("stops reading a stream whose answers nobody reads", async () => {
    const frame = grpcFrame(message([1n, 250_000n], new Uint8Array(1_000_000)));
    const session = await openHttp2(platform.platform.grpcAddress);
    const stream = session.request({ ":method": "POST", ":path": STREAM_INFER, "content-type": "application/grpc", te: "trailers" });
    stream.on("error", () => {});
    stream.pause();
    let sent = 0;
    const send = (): void => {
      while (sent < 2_000 && !stream.destroyed) {
        sent++;
        if (!stream.write(frame)) return void stream.once("drain", send);
      }
    };
    send();

    let before = -1;
    for (let round = 0; round < 100 && sent !== before; round++) {
      before = sent;
      await sleep(300);
    }
    assert.ok(sent < 2_000, "two gigabytes were taken without one answer read");
    session.destroy();
  });

  it("survives ten thousand calls that are cancelled as they begin, and ten thousand at once", async () => {
    const cancelled = await openHttp2(platform.platform.grpcAddress);
    for (let count = 0; count < 10_000 && !cancelled.destroyed; count++) {
      const stream = cancelled.request({ ":method": "POST", ":path": INFER, "content-type": "application/grpc", te: "trailers" });
      stream.on("error", () => {});
      stream.close(8);
      if (count % 500 === 0) await sleep(1);
    }
    cancelled.destroy();
    await goodRequest();

    const flood = await openHttp2(platform.platform.grpcAddress);
    const ends = Array.from({ length: 10_000 }, () => rawGrpc(flood, INFER, {}, grpcFrame(good)).then(({ status }) => status, () => undefined));
    await goodRequest();
    await Promise.race([Promise.all(ends), sleep(20_000)]);
    flood.destroy();
    const statuses = new Set(await Promise.all(ends));
    assert.deepEqual([...statuses].filter((status) => status !== undefined && ![STATUS.OK, STATUS.RESOURCE_EXHAUSTED, STATUS.UNAVAILABLE].includes(status)), []);
  });
});
