// Carried calls beside calls on streams of their own: callers and handlers must not tell the difference.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { connect } from "node:http2";
import { connect as netConnect, createServer, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { fromBinary, toBinary, create } from "@bufbuild/protobuf";
import { CarryResponseSchema, CarryRequestSchema } from "@servable/contracts/transport/v1/call_carrier";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError, type Reason } from "@servable/errors";
import fc from "fast-check";
import { createLeanChannel, implementRaw, internalAuthenticator, rawUnary, startGrpcServer, type CallContext, type Channel, type GrpcServer, type LeanChannelOptions, type RawImplementation } from "../src/index.ts";
import { BatchWriter, readAnswers, readCalls, type CarriedAnswer, type CarriedCall } from "../src/carried-messages.ts";
import { CARRIED_BYTES_MAX, CARRY_PATH } from "../src/call-carrier.ts";
import { framed } from "./raw-server.ts";

const PATH = "/servable.registry.v1.ModelRegistryService/GetModel";
const IDENTITY = { project: "p", principal: "projects/p/apiKeys/k", role: "user" } as const;

type Handle = (request: Uint8Array, context: CallContext) => Promise<Uint8Array>;

async function serve(handle: () => Handle, options: { carriesCalls?: boolean; heldBytesMax?: number; address?: string; receiveBytesMax?: number } = {}): Promise<GrpcServer> {
  const unused = (): never => assert.fail("not called");
  const implementation = { ...Object.fromEntries(ModelRegistryService.methods.map(({ localName }) => [localName, unused])), getModel: (request: Uint8Array, context: CallContext) => handle()(request, context) } as unknown as RawImplementation<typeof ModelRegistryService>;
  return startGrpcServer({ address: "127.0.0.1:0", services: [implementRaw(ModelRegistryService, implementation)], authenticate: internalAuthenticator("secret"), carriesCalls: true, drainMs: 2_000, ...options });
}

const reason = (want: Reason) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want, error.message);
  return true;
};

describe("a carried call", () => {
  let server: GrpcServer;
  let handle: Handle;
  const channels: Channel[] = [];
  const open = (options: LeanChannelOptions = {}, address = server.address): Channel => {
    const channel = createLeanChannel(address, { token: "secret", carriesCalls: true, ...options });
    channels.push(channel);
    return channel;
  };
  const call = (channel: Channel, request: Uint8Array, options: Parameters<typeof rawUnary>[3] = {}): Promise<Uint8Array> => rawUnary(channel, PATH, request, { identity: IDENTITY, ...options });
  before(async () => {
    server = await serve(() => handle);
  });
  after(async () => {
    for (const channel of channels) channel.close();
    await server[Symbol.asyncDispose]();
  });

  it("brings bytes there and back, of sizes that are carried and sizes that are not, many at once", async () => {
    handle = async (request) => request.slice();
    const channel = open();
    const sizes = [0, 1, 3_000, CARRIED_BYTES_MAX, CARRIED_BYTES_MAX + 1, 1_000_000];

    const requests = Array.from({ length: 120 }, (_, index) => Buffer.alloc(sizes[index % sizes.length] ?? 0, index));
    const answers = await Promise.all(requests.map((request) => call(channel, request)));

    answers.forEach((answer, index) => assert.ok(Buffer.from(answer).equals(requests[index] ?? Buffer.alloc(0)), `call ${index}`));
  });

  it("shares one stream with the others", async () => {
    handle = async () => new Uint8Array(1);
    let streams = 0;
    const counted = await serve(() => handle);
    // Each HTTP/2 HEADERS frame of a client opens a stream or ends one: a relay that counts them.
    const relay = createServer((from) => {
      const to = connectTo(counted.address);
      let rest = Buffer.alloc(0);
      let preface = 24;
      from.on("data", (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk]);
        if (preface > 0 && rest.length >= preface) {
          rest = rest.subarray(preface);
          preface = 0;
        }
        while (preface === 0 && rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
          if (rest[3] === 1) streams++;
          rest = rest.subarray(9 + rest.readUIntBE(0, 3));
        }
        to.write(chunk);
      });
      to.on("data", (chunk) => from.write(chunk));
      from.on("close", () => to.destroy()).on("error", () => {});
      to.on("error", () => {});
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const { port } = relay.address() as { port: number };
    const channel = open({}, `127.0.0.1:${port}`);

    for (let round = 0; round < 20; round++) await call(channel, Buffer.alloc(10));

    assert.equal(streams, 1);
    channel.close();
    relay.close();
    await counted[Symbol.asyncDispose]();
  });

  it("has its caller's identity, request id, own metadata, method and deadline", async () => {
    let seen: CallContext | undefined;
    handle = async (_, context) => {
      seen = context;
      return new Uint8Array();
    };

    await call(open({ timeoutMs: 60_000 }), Buffer.alloc(0), { requestId: "r-1", metadata: { "x-own": "1" } });

    assert.deepEqual(seen?.identity, IDENTITY);
    assert.deepEqual([seen?.requestId, seen?.header("x-own"), seen?.metadata.get("x-own")[0], seen?.method], ["r-1", "1", "1", PATH]);
    const leftMs = (seen?.deadline?.getTime() ?? 0) - Date.now();
    assert.ok(leftMs > 50_000 && leftMs <= 60_000, `${leftMs} ms`);
  });

  it("is refused without the installation's token", async () => {
    handle = async () => assert.fail("not called");

    await assert.rejects(call(open({ token: "wrong" }), Buffer.alloc(0)), reason("INTERNAL_TOKEN_INVALID"));
  });

  it("fails with the handler's reason, text and facts", async () => {
    handle = async () => {
      throw new StatusError("MODEL_NOT_FOUND", "kein Modell für 100 %", { metadata: { model: "m" } });
    };

    await assert.rejects(call(open(), Buffer.alloc(0)), (error: unknown) => {
      assert.ok(error instanceof StatusError);
      assert.deepEqual([error.reason, error.message, error.metadata["model"]], ["MODEL_NOT_FOUND", "kein Modell für 100 %", "m"]);
      return true;
    });
  });

  it("is unimplemented where the server has no such method", async () => {
    await assert.rejects(rawUnary(open(), "/servable.registry.v1.ModelRegistryService/Nothing", Buffer.alloc(0), { identity: IDENTITY }), reason("METHOD_UNKNOWN"));
  });

  it("tells its handler when the caller leaves, and the others go on", async () => {
    const cancelled = Promise.withResolvers<unknown>();
    const begun = Promise.withResolvers<void>();
    handle = (request, { cancellation }) =>
      request.length === 0
        ? Promise.resolve(new Uint8Array([7]))
        : new Promise((_, reject) => {
            begun.resolve();
            cancellation.addEventListener("abort", () => {
              cancelled.resolve(cancellation.reason);
              reject(new Error("left"));
            });
          });
    const channel = open();
    const controller = new AbortController();
    const waiting = call(channel, Buffer.alloc(1), { signal: controller.signal });

    await begun.promise;
    controller.abort();

    await assert.rejects(waiting, reason("CANCELLED"));
    assert.equal(((await cancelled.promise) as Error).name, "AbortError");
    assert.deepEqual([...(await call(channel, Buffer.alloc(0)))], [7]);
  });

  it("ends at its deadline on both sides", async () => {
    const cancelled = Promise.withResolvers<void>();
    handle = (_, { cancellation }) => new Promise((_resolve, reject) => cancellation.addEventListener("abort", () => (cancelled.resolve(), reject(new Error("late")))));

    await assert.rejects(call(open(), Buffer.alloc(1), { timeoutMs: 50 }), reason("DEADLINE_EXCEEDED"));
    await cancelled.promise;
    await assert.rejects(call(open(), Buffer.alloc(1), { deadline: new Date(Date.now() - 1) }), reason("DEADLINE_EXCEEDED"));
  });

  it("is refused above the channel's bound of calls", async () => {
    const release = Promise.withResolvers<Uint8Array>();
    handle = () => release.promise;
    const channel = open({ outstandingMax: 2 });
    const two = [call(channel, Buffer.alloc(1)), call(channel, Buffer.alloc(1))];

    await assert.rejects(call(channel, Buffer.alloc(1)), reason("QUEUE_FULL"));

    release.resolve(new Uint8Array([1]));
    assert.deepEqual((await Promise.all(two)).map((answer) => answer[0]), [1, 1]);
    assert.equal((await call(channel, Buffer.alloc(1)))[0], 1);
  });

  it("is refused when the server's memory for messages is full", async () => {
    const release = Promise.withResolvers<Uint8Array>();
    const tight = await serve(() => () => release.promise, { heldBytesMax: 1_000 });
    const channel = open({}, tight.address);
    const first = call(channel, Buffer.alloc(900));

    await assert.rejects(call(channel, Buffer.alloc(900)), reason("QUEUE_FULL"));

    release.resolve(new Uint8Array());
    await first;
    await call(channel, Buffer.alloc(900));
    channel.close();
    await tight[Symbol.asyncDispose]();
  });

  it("is refused when its message is too large for the server, or its answer for the channel", async () => {
    const small = await serve(() => async (request) => new Uint8Array(request.length * 10), { receiveBytesMax: 1_000 });
    const channel = open({ receiveBytesMax: 5_000 }, small.address);

    await assert.rejects(call(channel, Buffer.alloc(1_001)), reason("MESSAGE_TOO_LARGE"));
    await assert.rejects(call(channel, Buffer.alloc(600)), reason("MESSAGE_TOO_LARGE"));
    assert.equal((await call(channel, Buffer.alloc(400))).length, 4_000);
    channel.close();
    await small[Symbol.asyncDispose]();
  });

  it("goes on beside one whose answer is far too large", async () => {
    const release = Promise.withResolvers<Uint8Array>();
    handle = (request) => (request.length === 1 ? release.promise : Promise.resolve(new Uint8Array(3_000_000)));
    const channel = open({ receiveBytesMax: 1_000_000 });
    const beside = call(channel, Buffer.alloc(1));

    await assert.rejects(call(channel, Buffer.alloc(2)), reason("MESSAGE_TOO_LARGE"));

    release.resolve(new Uint8Array([9]));
    assert.equal((await beside)[0], 9);
  });

  it("takes a stream of its own where the server carries none", async () => {
    const plain = await serve(() => async (request) => request.slice(), { carriesCalls: false });
    const channel = open({}, plain.address);

    const answers = await Promise.all([1, 2, 3].map((value) => call(channel, Buffer.alloc(3, value))));
    const later = await call(channel, Buffer.alloc(3, 4));

    assert.deepEqual([...answers, later].map((answer) => answer[0]), [1, 2, 3, 4]);
    channel.close();
    await plain[Symbol.asyncDispose]();
  });

  it("is finished by a server that drains, and the next one goes to the server that follows", async () => {
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<Uint8Array>();
    const old = await serve(() => () => (begun.resolve(), release.promise));
    const channel = open({}, old.address);
    const inFlight = call(channel, Buffer.alloc(1));
    await begun.promise;

    const drained = old[Symbol.asyncDispose]();
    setTimeout(() => release.resolve(new Uint8Array([5])), 50);

    assert.equal((await inFlight)[0], 5);
    await drained;
    const next = await serve(() => async () => new Uint8Array([6]), { address: old.address });
    assert.equal((await eventually(() => call(channel, Buffer.alloc(1))))[0], 6);
    channel.close();
    await next[Symbol.asyncDispose]();
  });

  it("is unavailable when its connection dies", async () => {
    const begun = Promise.withResolvers<void>();
    const mortal = await serve(() => () => (begun.resolve(), new Promise(() => {})));
    const sockets: Socket[] = [];
    const relay = createServer((from) => {
      const to = connectTo(mortal.address);
      sockets.push(from, to);
      from.pipe(to).on("error", () => {});
      to.pipe(from).on("error", () => {});
    });
    await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
    const channel = open({}, `127.0.0.1:${(relay.address() as { port: number }).port}`);
    const waiting = [call(channel, Buffer.alloc(1)), call(channel, Buffer.alloc(1))];
    await begun.promise;

    for (const socket of sockets) socket.destroy();

    for (const each of waiting) await assert.rejects(each, reason("SERVICE_UNAVAILABLE"));
    channel.close();
    relay.close();
    await mortal[Symbol.asyncDispose]();
  });

  it("does not keep a process alive that waits for none", async () => {
    handle = async () => new Uint8Array([1]);
    const index = new URL("../src/index.ts", import.meta.url).href;
    const code = `import { createLeanChannel, rawUnary } from ${JSON.stringify(index)}; const channel = createLeanChannel(${JSON.stringify(server.address)}, { token: "secret", carriesCalls: true }); for (let i = 0; i < 3; i++) console.log((await rawUnary(channel, ${JSON.stringify(PATH)}, Buffer.alloc(1), { identity: ${JSON.stringify(IDENTITY)} }))[0]);`;

    const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=source", "--input-type=module", "-e", code], { timeout: 20_000 });

    assert.equal(stdout, "1\n1\n1\n");
  });
});

describe("a server that carries calls", () => {
  it("ends a stream of bytes that are no batch, and serves the next", async () => {
    const server = await serve(() => async () => new Uint8Array([1]));
    const session = connect(`http://${server.address}`);
    for (const bytes of [Buffer.from([0x0a, 0xff, 0xff]), Buffer.from([0x0f]), Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]) {
      const stream = session.request({ ":method": "POST", ":path": CARRY_PATH, "content-type": "application/grpc", te: "trailers" });
      stream.on("error", () => {});
      stream.write(framed(bytes));
      await new Promise((resolve) => stream.on("close", resolve));
    }
    session.destroy();
    const channel = createLeanChannel(server.address, { token: "secret", carriesCalls: true });

    assert.equal((await rawUnary(channel, PATH, Buffer.alloc(1), { identity: IDENTITY }))[0], 1);

    channel.close();
    await server[Symbol.asyncDispose]();
  });
});

const ascii = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
const bytes = fc.uint8Array({ maxLength: 40_000 });

describe("messages of carried calls", () => {
  it("are read by the generated codec as they were meant, and the other way round", () => {
    const carried = fc.record({ id: fc.nat(2 ** 31 - 1), path: ascii, headers: fc.array(ascii, { maxLength: 8 }), timeoutMs: fc.nat(2 ** 40), message: bytes });
    fc.assert(
      fc.property(fc.array(carried, { maxLength: 5 }), fc.array(fc.nat(2 ** 31 - 1), { maxLength: 5 }), (calls, cancelledIds) => {
        const writer = new BatchWriter();
        for (const call of calls) writer.addCall(call);
        for (const id of cancelledIds) writer.addCancellation(id);
        const read = fromBinary(CarryRequestSchema, writer.take().subarray(5));
        assert.deepEqual(read.calls.map(({ id, path, headers, timeoutMs, message }) => ({ id, path, headers, timeoutMs: Number(timeoutMs), message: [...message] })), calls.map((call) => ({ ...call, message: [...call.message] })));
        assert.deepEqual(read.cancelledIds, cancelledIds);

        const got: CarriedCall[] = [];
        const cancelled: number[] = [];
        readCalls(Buffer.from(toBinary(CarryRequestSchema, create(CarryRequestSchema, { calls: calls.map((call) => ({ ...call, timeoutMs: BigInt(call.timeoutMs) })), cancelledIds }))), (call) => got.push(call), (id) => cancelled.push(id));
        assert.deepEqual(got.map((call) => ({ ...call, message: [...call.message] })), calls.map((call) => ({ ...call, message: [...call.message] })));
        assert.deepEqual(cancelled, cancelledIds);
      }),
      { numRuns: 60 },
    );
  });

  it("of answers too", () => {
    const answer = fc.oneof(
      fc.record({ id: fc.nat(2 ** 31 - 1), status: fc.constant(0), statusMessage: fc.constant(""), statusDetails: fc.constant(undefined), message: bytes }),
      fc.record({ id: fc.nat(2 ** 31 - 1), status: fc.integer({ min: 1, max: 16 }), statusMessage: fc.string({ unit: "grapheme" }), statusDetails: fc.uint8Array({ minLength: 1, maxLength: 100 }), message: fc.constant(new Uint8Array()) }),
    );
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 5 }), fc.boolean(), (answers, draining) => {
        const writer = new BatchWriter();
        for (const each of answers) writer.addAnswer(each);
        if (draining) writer.addDraining();
        const framedBatch = writer.take();
        const read = fromBinary(CarryResponseSchema, framedBatch.subarray(5));
        assert.deepEqual(read.answers.map(({ id, status, statusMessage, message }) => [id, status, statusMessage, [...message]]), answers.map(({ id, status, statusMessage, message }) => [id, status, statusMessage, [...message]]));
        assert.equal(read.draining, draining);

        const got: CarriedAnswer[] = [];
        let drains = false;
        readAnswers(framedBatch.subarray(5), (each) => got.push(each), () => (drains = true));
        assert.deepEqual(got.map((each) => [each.id, each.status, each.statusMessage, [...(each.statusDetails ?? [])], [...each.message]]), answers.map((each) => [each.id, each.status, each.statusMessage, [...(each.statusDetails ?? [])], [...each.message]]));
        assert.equal(drains, draining);
      }),
      { numRuns: 60 },
    );
  });
});

function connectTo(address: string): Socket {
  return netConnect(Number(address.split(":")[1]), "127.0.0.1");
}

async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 40) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
