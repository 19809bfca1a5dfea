import assert from "node:assert/strict";
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { GRPCInferenceService, ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { createChannel, createClient } from "@servable/grpc";
import { tempDir } from "@servable/testing";
import { TOKEN, simpleRequest, startFakeRegistry, startFakeReplica } from "./fakes.ts";
import { ADMIN_KEY, withKey } from "./gateway.ts";

const MAIN = join(import.meta.dirname, "../src/main.ts");

function start(env: Record<string, string>): ChildProcess {
  const { PATH = "" } = process.env;
  return fork(MAIN, { env: { PATH, SERVABLE_GRPC_PORT: "0", SERVABLE_HTTP_PORT: "0", SERVABLE_METRICS_PORT: "0", SERVABLE_BOOTSTRAP_API_KEY: ADMIN_KEY, SERVABLE_INTERNAL_TOKEN: TOKEN, ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

describe("gateway process", () => {
  it("says where it serves, counts and traces calls, and ends with 0 at SIGTERM with its usage written", async () => {
    using directory = tempDir();
    await using registry = await startFakeRegistry();
    await using replica = await startFakeReplica();
    registry.publish({ simple: [replica.address] });
    const metricsPort = await freePort();
    const traces = join(directory.path, "traces");
    const child = start({ SERVABLE_DATA_DIR: directory.path, SERVABLE_REGISTRY_ADDRESS: registry.address, SERVABLE_METRICS_PORT: String(metricsPort), SERVABLE_TRACE_DIR: traces });
    const [ready] = (await once(child, "message")) as [{ type: string; grpcAddress: string; httpAddress: string }];
    assert.equal(ready.type, "ready");

    const channel = createChannel(ready.grpcAddress);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await createClient(GRPCInferenceService, channel).modelInfer(fromBinary(ModelInferRequestSchema, simpleRequest()), { metadata: { ...withKey().metadata, traceparent } });
    channel.close();
    await fetch(`http://${ready.httpAddress}/healthz`);
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    child.kill("SIGTERM");
    const code = await exitOf(child);

    assert.equal(code, 0);
    assert.match(metrics, /servable_gateway_requests_total\{[^}]*protocol="grpc"[^}]*route="\/inference\.GRPCInferenceService\/ModelInfer"[^}]*outcome="OK"[^}]*\} 1/);
    assert.match(metrics, /route="GET \/healthz"/);
    const spans = readdirSync(traces).flatMap((file) => readFileSync(join(traces, file), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Record<string, string>));
    const ours = spans.filter((span) => JSON.stringify(span).includes("0af7651916cd43dd8448eb211c80319c"));
    assert.equal(ours.length, 2, "the call taken and the call made");
    using database = new DatabaseSync(join(directory.path, "gateway.db"));
    assert.deepEqual({ ...database.prepare("select model, outcome from gateway_usage_record").get() }, { model: "simple", outcome: "OK" });
  });

  it("ends with 69 and the variable's name when a port is taken, and with 78 for a wrong setting", async () => {
    using directory = tempDir();
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;

    const busy = start({ SERVABLE_DATA_DIR: directory.path, SERVABLE_HTTP_PORT: String(port) });
    const [busyText, busyCode] = await Promise.all([textOf(busy), exitOf(busy)]);
    const wrong = start({ SERVABLE_DATA_DIR: directory.path, SERVABLE_AUTH: "maybe" });
    const [wrongText, wrongCode] = await Promise.all([textOf(wrong), exitOf(wrong)]);
    taken.close();

    assert.equal(busyCode, 69);
    assert.match(busyText, /SERVABLE_HTTP_PORT/);
    assert.equal(wrongCode, 78);
    assert.match(wrongText, /SERVABLE_AUTH/);
  });
});

async function exitOf(child: ChildProcess): Promise<number> {
  const [code] = (await once(child, "exit")) as [number];
  return code;
}

async function textOf(child: ChildProcess): Promise<string> {
  const chunks = (await child.stderr?.toArray()) as Buffer[] | undefined;
  return Buffer.concat(chunks ?? []).toString();
}
