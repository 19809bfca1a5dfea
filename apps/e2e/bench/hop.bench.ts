// A tiny model, so that nearly all is messages: what a call costs straight to inference and through the gateway (keys
// checked, usage recorded, metrics on), beside an echo of the same transport, the same gateway with a grpc-js client behind
// it, and Python servers with the same model where they are installed.
// Leaves out: TLS, networks, more cores. Generator and servers share the cores, so CPU a request is the steadier number.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createChannel, rawUnary } from "@servable/grpc";
import { tempDir } from "@servable/testing";
import { floats, framed, inferRequest, mlpModel } from "./load/bench-models.ts";
import { INFER_PATH, startBenchPlatform } from "./load/bench-platform.ts";
import { GENERATOR, type Load } from "./load/load-generator.ts";
import { measureServer, rowOf, type Measured } from "./load/measure-server.ts";
import { grpcPeers, jsonPeers } from "./load/peers.ts";
import { startServerProcess } from "./load/start-server.ts";

const SECONDS = Number(process.env["SERVABLE_BENCH_SECONDS"] ?? 3);
const CONCURRENCIES = [1, 8, 32];
const GRPC = { path: INFER_PATH, headers: { "content-type": "application/grpc", te: "trailers" } };

const values = floats(784);
const request = inferRequest("mlp", { input: { datatype: "FP32", shape: [1, 784], data: values } });
const body = framed(request);
const json = {
  path: "/v2/models/mlp/infer",
  body: Buffer.from(JSON.stringify({ inputs: [{ name: "input", datatype: "FP32", shape: [1, 784], data: [...new Float32Array(values.buffer)] }] })),
  protocol: "http/1.1" as const,
};
console.log(`load by ${GENERATOR}, one connection (JSON: one a caller), median of three rounds of ${SECONDS} s; 784-128-10 network, 3 KB as tensors`);

const baselines = new Map<number, Measured>();
/** Measures one server at every concurrency; the first one measured is the baseline of the others. */
async function measure(name: string, load: Omit<Load, "concurrency" | "seconds">, processes: Readonly<Record<string, () => readonly number[]>>): Promise<void> {
  for (const concurrency of CONCURRENCIES) {
    const measured = await measureServer({ ...load, concurrency, seconds: SECONDS }, processes);
    if (!baselines.has(concurrency)) baselines.set(concurrency, measured);
    console.log(rowOf(`c=${concurrency} ${name}`, measured, baselines.get(concurrency)));
  }
}

for (const kind of ["protobuf-es", "raw"]) {
  using echo = await startServerProcess(process.execPath, [join(import.meta.dirname, "load/echo-server.ts"), kind]);
  await measure(`grpc-js echo, ${kind}`, { ...GRPC, address: echo.address, body }, { server: () => [echo.pid] });
}

for (const transport of ["carried", "lean", "grpc-js"]) {
  await using bench = await startBenchPlatform({ mlp: { bytes: mlpModel() } }, { SERVABLE_REPLICA_CHANNEL: transport });
  const answerBytes = (await bench.answerTo("gateway", request)).length + 5;
  if (transport === "carried") await measure("inference", { ...GRPC, ...bench.doors.inference, body, answerBytes }, bench.processes);
  await measure(`gateway, ${transport} channel`, { ...GRPC, ...bench.doors.gateway, body, answerBytes }, bench.processes);
  if (transport === "carried") {
    const address = bench.platform.platform.httpAddress.replace("http://", "");
    await measure("gateway, JSON", { ...json, address, headers: { "content-type": "application/json", "x-api-key": bench.platform.apiKey } }, bench.processes);
  }
}

using directory = tempDir();
const modelFile = join(directory.path, "mlp.onnx");
writeFileSync(modelFile, mlpModel());
for (const peer of grpcPeers()) {
  using server = await peer.start(modelFile);
  const channel = createChannel(server.address);
  const answerBytes = (await rawUnary(channel, INFER_PATH, request)).length + 5;
  channel.close();
  await measure(peer.name, { ...GRPC, address: server.address, body, answerBytes }, { server: () => [server.pid] });
}
for (const peer of jsonPeers()) {
  using server = await peer.start(modelFile);
  await waitForJson(server.address);
  await measure(peer.name, { ...json, address: server.address, headers: { "content-type": "application/json" } }, { server: () => [server.pid] });
}

/** FastAPI says its port before it listens. */
async function waitForJson(address: string): Promise<void> {
  for (;;) {
    try {
      const answer = await fetch(`http://${address}${json.path}`, { method: "POST", body: json.body, headers: { "content-type": "application/json" } });
      if (answer.ok) return;
      throw new Error(`the peer answers ${answer.status}: ${await answer.text()}`);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
