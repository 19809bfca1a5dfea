// A tiny model, so that nearly all is messages: what a call costs straight to inference and through the gateway (keys
// checked, usage recorded, metrics on), beside an echo of the same transport, the same gateway with a grpc-js client behind
// it, and Python servers with the same model where they are installed.
// Leaves out: TLS, networks, more cores. Generator and servers share the cores, so CPU a request is the steadier number.

import { join } from "node:path";
import { floats, framed, inferRequest, mlpModel } from "./load/bench-models.ts";
import { INFER_PATH, startBenchPlatform } from "./load/bench-platform.ts";
import { GENERATOR, type Load } from "./load/load-generator.ts";
import { measureServer, rowOf, type Measured } from "./load/measure-server.ts";
import { startServerProcess } from "./load/start-server.ts";

const SECONDS = Number(process.env["SERVABLE_BENCH_SECONDS"] ?? 3);
const CONCURRENCIES = [1, 8, 32];

const request = inferRequest("mlp", { input: { datatype: "FP32", shape: [1, 784], data: floats(784) } });
const body = framed(request);
const json = Buffer.from(JSON.stringify({ inputs: [{ name: "input", datatype: "FP32", shape: [1, 784], data: [...new Float32Array(floats(784).buffer)] }] }));
console.log(`load by ${GENERATOR}, one connection, ${SECONDS} s a round; 3 KB request, 784-128-10 network`);

const rows: Record<number, [string, Measured][]> = {};
const add = (concurrency: number, name: string, measured: Measured): void => {
  const list = (rows[concurrency] ??= []);
  list.push([name, measured]);
  console.log(rowOf(`c=${concurrency} ${name}`, measured, list[0]?.[1]));
};

for (const kind of ["protobuf-es", "raw"]) {
  using echo = await startServerProcess(process.execPath, [join(import.meta.dirname, "load/echo-server.ts"), kind]);
  for (const concurrency of CONCURRENCIES) {
    const load: Load = { address: echo.address, path: INFER_PATH, headers: { "content-type": "application/grpc", te: "trailers" }, body, concurrency, seconds: SECONDS };
    add(concurrency, `grpc-js echo, ${kind}`, await measureServer(load, { server: () => [echo.pid] }));
  }
}

for (const transport of ["lean", "grpc-js"]) {
  await using bench = await startBenchPlatform({ mlp: { bytes: mlpModel() } }, { SERVABLE_REPLICA_CHANNEL: transport });
  const answer = await bench.answerTo("gateway", request);
  const answerBytes = answer.length + 5;
  for (const concurrency of CONCURRENCIES) {
    const rest = { path: INFER_PATH, body, answerBytes, concurrency, seconds: SECONDS };
    if (transport === "lean") add(concurrency, "inference", await measureServer({ ...bench.doors.inference, ...rest }, bench.processes));
    add(concurrency, `gateway, ${transport} channel`, await measureServer({ ...bench.doors.gateway, ...rest }, bench.processes));
    if (transport === "lean") {
      const overHttp: Load = { address: bench.platform.platform.httpAddress.replace("http://", ""), path: "/v2/models/mlp/infer", headers: { "content-type": "application/json", "x-api-key": bench.platform.apiKey }, body: json, protocol: "http/1.1", concurrency, seconds: SECONDS };
      add(concurrency, "gateway, JSON", await measureServer(overHttp, bench.processes));
    }
  }
}
