import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { serviceIdentity } from "@servable/auth";
import { Health } from "@servable/contracts/grpc/health/v1/health";
import { ServerReflection } from "@servable/contracts/grpc/reflection/v1/reflection";
import { ModelRegistryService } from "@servable/contracts/registry/v1/model_registry";
import { StatusError, type Reason } from "@servable/errors";
import { createChannel, createClient, implement, internalAuthenticator, proxyService, rawUnary, startGrpcServer, type Channel, type GrpcJsChannel, type GrpcServer, type ServiceImplementation } from "./index.ts";

const TOKEN = "secret";
const reason = (want: Reason) => (error: unknown) => {
  assert.ok(error instanceof StatusError, String(error));
  assert.equal(error.reason, want);
  return true;
};
const unused = (): never => assert.fail("not called");
const seen: { aborted: string[]; closed: number } = { aborted: [], closed: 0 };

/** One method of each kind does something; the others are not called. */
const implementation: ServiceImplementation<typeof ModelRegistryService> = {
  ...(Object.fromEntries(ModelRegistryService.methods.map((method) => [method.localName, unused])) as unknown as ServiceImplementation<typeof ModelRegistryService>),
  async getModel({ name }, context) {
    if (name === "missing") throw new StatusError("MODEL_NOT_FOUND", "no such model", { metadata: { model: name } });
    if (name === "defect") throw new TypeError("internal detail");
    if (name === "slow") {
      await new Promise((_, reject) => context.signal.addEventListener("abort", () => reject(context.signal.reason as Error), { once: true })).catch((error: unknown) => {
        seen.aborted.push((error as Error).name);
        throw error;
      });
    }
    context.setTrailer("x-trailer", "t");
    return { name, displayName: context.identity?.principal ?? "", description: context.requestId };
  },
  async uploadArtifact(requests) {
    let sizeBytes = 0n;
    for await (const { payload } of requests) if (payload.case === "chunk") sizeBytes += BigInt(payload.value.length);
    return { path: "model.onnx", sizeBytes };
  },
  async *watchEvents({ afterSequence }) {
    try {
      for (let sequence = afterSequence + 1n; ; sequence++) yield { sequence };
    } finally {
      seen.closed++;
    }
  },
  async *downloadArtifact({ readOffsetBytes }) {
    for (let index = 0n; index < readOffsetBytes; index++) yield { chunk: new Uint8Array(1000).fill(Number(index % 256n)) };
  },
};

for (const unaryDoor of ["direct", "grpc-js"] as const) describe(`gRPC over a socket, unary calls by ${unaryDoor}`, () => {
  const directory = mkdtempSync(join(tmpdir(), "grpc-"));
  let server: GrpcServer;
  let front: GrpcServer;
  let direct: GrpcJsChannel;
  let proxied: Channel;
  const identity = serviceIdentity("test");
  before(async () => {
    server = await startGrpcServer({
      address: `unix:${join(directory, "a.sock")}`,
      services: [implement(ModelRegistryService, implementation)],
      authenticate: internalAuthenticator(TOKEN),
      receiveBytesMax: 100_000,
      drainMs: 200,
      unaryDoor,
    });
    direct = createChannel(server.address, { token: TOKEN });
    front = await startGrpcServer({ address: "127.0.0.1:0", services: [], proxies: [proxyService(ModelRegistryService, () => direct)], authenticate: () => identity, drainMs: 200 });
    proxied = createChannel(front.address);
  });
  after(async () => {
    direct.close();
    proxied.close();
    await front[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  for (const via of ["directly", "through a proxy"]) {
    describe(via, () => {
      const client = () => createClient(ModelRegistryService, via === "directly" ? direct : proxied, { identity });

      it("carries a unary call with identity and request id", async () => {
        const model = await client().getModel({ name: "m" }, { requestId: "r-1" });

        assert.equal(model.name, "m");
        assert.equal(model.displayName, "services/test");
        assert.equal(model.description, "r-1");
      });

      it("carries reason and metadata of an error", async () => {
        await assert.rejects(client().getModel({ name: "missing" }), (error: unknown) => {
          assert.ok(error instanceof StatusError);
          assert.deepEqual([error.reason, error.code, error.metadata["model"], error.message], ["MODEL_NOT_FOUND", "NOT_FOUND", "missing", "no such model"]);
          return true;
        });
      });

      it("reveals nothing of a defect", async () => {
        await assert.rejects(client().getModel({ name: "defect" }), (error: unknown) => reason("INTERNAL")(error) && !/internal detail/.test((error as Error).message));
      });

      it("carries a client stream", async () => {
        const chunks = Array.from({ length: 500 }, () => ({ payload: { case: "chunk" as const, value: new Uint8Array(1000) } }));

        assert.equal((await client().uploadArtifact(chunks)).sizeBytes, 500_000n);
      });

      it("carries a server stream, to its end and left early", async () => {
        let count = 0;
        for await (const { chunk } of client().downloadArtifact({ readOffsetBytes: 3000n })) count += chunk.length;
        assert.equal(count, 3_000_000);

        const before = seen.closed;
        for await (const { sequence } of client().watchEvents({ afterSequence: 5n })) if (sequence === 8n) break;
        while (seen.closed === before) await new Promise((resolve) => setTimeout(resolve, 5));
      });

      it("ends at the deadline on both sides", async () => {
        await assert.rejects(client().getModel({ name: "slow" }, { timeoutMs: 50 }), reason("DEADLINE_EXCEEDED"));
        while (seen.aborted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        seen.aborted.length = 0;
      });

      it("carries cancellation to the handler", async () => {
        const controller = new AbortController();
        const call = client().getModel({ name: "slow" }, { signal: controller.signal });
        setTimeout(() => controller.abort(), 50);

        await assert.rejects(call, reason("CANCELLED"));
        while (seen.aborted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        assert.equal(seen.aborted.pop(), "AbortError");
      });

      it("refuses malformed bytes as the caller's error", async () => {
        const path = "/servable.registry.v1.ModelRegistryService/GetModel";

        await assert.rejects(rawUnary(via === "directly" ? direct : proxied, path, new Uint8Array([0x0a, 0xff]), { identity }), reason("MESSAGE_MALFORMED"));
      });

      it("refuses an oversized message", async () => {
        await assert.rejects(client().getModel({ name: "x".repeat(200_000) }), (error: unknown) => error instanceof StatusError && error.code === "RESOURCE_EXHAUSTED");
      });
    });
  }

  it("refuses a call without the installation's token", async () => {
    const stranger = createChannel(server.address, { token: "wrong" });

    await assert.rejects(createClient(ModelRegistryService, stranger, { identity }).getModel({ name: "m" }), reason("INTERNAL_TOKEN_INVALID"));
    stranger.close();
  });

  it("answers UNAVAILABLE when nobody listens, without the address in the message", async () => {
    const nowhere = createChannel("127.0.0.1:1");

    await assert.rejects(createClient(ModelRegistryService, nowhere).getModel({ name: "m" }), (error: unknown) => reason("SERVICE_UNAVAILABLE")(error) && !/127/.test((error as Error).message));
    nowhere.close();
  });

  it("serves health, open to everybody", async () => {
    const health = createClient(Health, proxied);
    assert.equal((await health.check({ service: "" })).status, 1);
    await assert.rejects(health.check({ service: "nobody" }), (error: unknown) => error instanceof StatusError && error.code === "NOT_FOUND");

    const statuses: number[] = [];
    for await (const { status } of health.watch({ service: "servable.registry.v1.ModelRegistryService" })) {
      statuses.push(status);
      if (statuses.length === 1) front.health.set("servable.registry.v1.ModelRegistryService", false);
      if (statuses.length === 2) break;
    }
    assert.deepEqual(statuses, [1, 2]);
  });

  it("describes its services by reflection, files with their dependencies", async () => {
    const asked = [{ messageRequest: { case: "listServices" as const, value: "" } }, { messageRequest: { case: "fileContainingSymbol" as const, value: "servable.registry.v1.ModelRegistryService" } }];
    const answers = [];
    for await (const answer of createClient(ServerReflection, proxied).serverReflectionInfo(asked)) answers.push(answer.messageResponse);

    assert.ok(answers[0]?.case === "listServicesResponse" && answers[0].value.service.some(({ name }) => name === "servable.registry.v1.ModelRegistryService"));
    assert.ok(answers[1]?.case === "fileDescriptorResponse" && answers[1].value.fileDescriptorProto.length >= 5);
  });
});

describe("gRPC server start", () => {
  it("names the variable when the port is taken", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };

    await assert.rejects(startGrpcServer({ address: `127.0.0.1:${port}`, services: [], portVariable: "SERVABLE_GRPC_PORT" }), (error: unknown) => reason("PORT_IN_USE")(error) && /SERVABLE_GRPC_PORT/.test((error as Error).message));
    taken.close();
  });

  it("takes over the socket of a process that died, not of one that lives", async () => {
    const directory = mkdtempSync(join(tmpdir(), "grpc-"));
    const path = join(directory, "a.sock");
    const { spawnSync } = await import("node:child_process");
    // SIGKILL leaves the socket file behind, as a crash would.
    spawnSync(process.execPath, ["-e", `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`]);

    {
      await using first = await startGrpcServer({ address: `unix:${path}`, services: [], drainMs: 100 });
      await assert.rejects(startGrpcServer({ address: first.address, services: [] }), reason("PORT_IN_USE"));
    }
    writeFileSync(join(directory, "done"), "");
    rmSync(directory, { recursive: true });
  });
});
