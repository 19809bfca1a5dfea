// Two ways to a unary handler, one behaviour: what callers see must not tell which of them answered.

import assert from "node:assert/strict";
import { connect, type ClientHttp2Session } from "node:http2";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { Server } from "@grpc/grpc-js";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { GetModelRequestSchema } from "@servable/contracts/registry/v1/model_registry";
import { StatusError } from "@servable/errors";
import { createLeanChannel, implement, rawUnary, startGrpcServer, type CallContext, type GrpcServer, type ServiceImplementation } from "../src/index.ts";
import { openUnaryDoor } from "../src/unary-door.ts";
import { framed } from "./raw-server.ts";

const PATH = "/servable.registry.v1.ModelRegistryService/GetModel";
const HEADERS = { ":method": "POST", ":path": PATH, "content-type": "application/grpc", te: "trailers" };
const message = Buffer.from(toBinary(GetModelRequestSchema, create(GetModelRequestSchema, { name: "m" })));

interface Answer {
  readonly status: string | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: Buffer;
  readonly rstCode: number;
}

for (const unaryDoor of ["direct", "grpc-js"] as const) {
  describe(`a unary call answered by ${unaryDoor}`, () => {
    const ended: string[] = [];
    const seen: CallContext[] = [];
    let server: GrpcServer;
    let session: ClientHttp2Session;
    let handle: (name: string, context: CallContext) => unknown = (name) => ({ name });
    before(async () => {
      const unused = (): never => assert.fail("not called");
      const implementation = {
        ...Object.fromEntries(ModelRegistryService.methods.map((method) => [method.localName, unused])),
        getModel: ({ name }: { name: string }, context: CallContext) => {
          seen.push(context);
          return handle(name, context);
        },
      } as unknown as ServiceImplementation<typeof ModelRegistryService>;
      server = await startGrpcServer({ address: "127.0.0.1:0", services: [implement(ModelRegistryService, implementation)], receiveBytesMax: 1_000, drainMs: 100, unaryDoor, onCallEnd: ({ code }) => ended.push(code) });
      session = connect(`http://${server.address}`);
    });
    after(async () => {
      session.destroy();
      await server[Symbol.asyncDispose]();
    });

    /** Sends chunks, half-closing behind the last one unless told otherwise. */
    const send = (chunks: readonly Buffer[], headers: Record<string, string> = {}, halfClose = true): Promise<Answer> =>
      new Promise((resolve) => {
        const stream = session.request({ ...HEADERS, ...headers });
        const parts: Buffer[] = [];
        let [all, status]: [Record<string, unknown>, string | undefined] = [{}, undefined];
        stream.on("response", (found) => {
          all = found;
          status = found["grpc-status"] as string | undefined;
        });
        stream.on("trailers", (found) => (status = found["grpc-status"] as string | undefined));
        stream.on("data", (part: Buffer) => parts.push(part));
        stream.on("error", () => {});
        stream.on("close", () => resolve({ status, headers: all, body: Buffer.concat(parts), rstCode: stream.rstCode ?? 0 }));
        for (const chunk of chunks) stream.write(chunk);
        if (halfClose) stream.end();
      });

    it("has headers, one message and an OK", async () => {
      const answer = await send([framed(message)], { "x-request-id": "r-7" });

      assert.deepEqual([answer.status, answer.headers["content-type"], answer.headers["x-request-id"]], ["0", "application/grpc+proto", "r-7"]);
      assert.equal(answer.body.length, answer.body.readUInt32BE(1) + 5);
      assert.equal(ended.pop(), "OK");
    });

    it("takes a request byte by byte, and a compressed one", async () => {
      assert.equal((await send([...framed(message)].map((byte) => Buffer.from([byte])))).status, "0");
      const zipped = gzipSync(message);
      const frame = framed(zipped);
      frame[0] = 1;
      assert.equal((await send([frame], { "grpc-encoding": "gzip" })).status, "0");
    });

    for (const [what, chunks, status] of [
      ["no message", [], "12"],
      ["two messages", [framed(message, message)], "12"],
      ["half a message", [framed(message).subarray(0, 6)], "12"],
      ["a message above the bound", [framed(Buffer.alloc(1_001))], "8"],
      ["a message that announces four gigabytes", [Buffer.from([0, 255, 255, 255, 255, 1])], "8"],
      ["bytes that are no message", [framed(Buffer.from([0x0a, 0xff]))], "3"],
    ] as const) {
      it(`refuses ${what} with the status ${status}`, async () => {
        assert.equal((await send(chunks)).status, status);
      });
    }

    it("refuses an unknown method and what is not gRPC", async () => {
      assert.equal((await send([framed(message)], { ":path": "/servable.registry.v1.ModelRegistryService/Nothing" })).status, "12");
      assert.equal((await send([framed(message)], { "content-type": "text/plain" })).headers[":status"], 415);
    });

    it("gives an error its details", async () => {
      handle = () => {
        throw new StatusError("MODEL_NOT_FOUND", "kein Modell für 100 %", { metadata: { model: "m" } });
      };
      const channel = createLeanChannel(server.address);

      await assert.rejects(rawUnary(channel, PATH, message), (error: unknown) => error instanceof StatusError && error.reason === "MODEL_NOT_FOUND" && error.message === "kein Modell für 100 %" && error.metadata["model"] === "m");
      channel.close();
      handle = (name) => ({ name });
    });

    it("ends at the caller's deadline, and tells the handler why", async () => {
      handle = (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true }));

      const answer = await send([framed(message)], { "grpc-timeout": "30m" });

      assert.equal(answer.status, "4");
      assert.equal((seen.at(-1)?.cancellation.reason as Error).name, "TimeoutError");
      handle = (name) => ({ name });
    });

    it("refuses a time-out that is none", async () => {
      assert.equal((await send([framed(message)], { "grpc-timeout": "soon" })).status, "13");
    });

    it("tells the handler that the caller is gone, and writes nothing to nobody", async () => {
      const arrived = Promise.withResolvers<CallContext>();
      const finish = Promise.withResolvers<unknown>();
      handle = (_, context) => {
        arrived.resolve(context);
        return finish.promise;
      };
      const stream = session.request(HEADERS);
      stream.on("error", () => {});
      stream.end(framed(message));
      const context = await arrived.promise;

      stream.close(8);
      await new Promise<void>((resolve) => context.cancellation.addEventListener("abort", resolve));
      finish.resolve({ name: "late" });

      assert.equal((context.signal.reason as Error).name, "AbortError");
      handle = (name) => ({ name });
      assert.equal((await send([framed(message)])).status, "0");
    });

    it("calls an ended call neither cancelled nor late", async () => {
      await send([framed(message)], { "grpc-timeout": "1S" });
      await new Promise((resolve) => setTimeout(resolve, 50));

      assert.equal(seen.at(-1)?.signal.aborted, false);
    });
  });
}

it("stays closed on a grpc-js that has other insides", () => {
  const other = Object.assign(Object.create(Server.prototype) as Server, { _setupHandlers: undefined });

  assert.equal(openUnaryDoor(other, new Map(), 1, undefined), false);
});
