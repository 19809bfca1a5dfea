// Large tensors: a picture's 600 KB of floats in, ten floats out, no mathematics between. Beside an echo of the same transport.
// Leaves out: TLS, networks, more cores.

import { join } from "node:path";
import { floats, framed, inferRequest, sliceModel } from "./load/bench-models.ts";
import { INFER_PATH, startBenchPlatform } from "./load/bench-platform.ts";
import { GENERATOR } from "./load/load-generator.ts";
import { measureServer, rowOf, type Measured } from "./load/measure-server.ts";
import { startServerProcess } from "./load/start-server.ts";

const SECONDS = Number(process.env["SERVABLE_BENCH_SECONDS"] ?? 3);
const CONCURRENCIES = [1, 8];
const VALUES = 150_528;

const request = inferRequest("slice", { input: { datatype: "FP32", shape: [1, VALUES], data: floats(VALUES) } });
const body = framed(request);
console.log(`load by ${GENERATOR}, one connection, median of three rounds of ${SECONDS} s; ${body.length} bytes a request`);
await using bench = await startBenchPlatform({ slice: { bytes: sliceModel() } });
const answerBytes = (await bench.answerTo("gateway", request)).length + 5;
using echo = await startServerProcess(process.execPath, [join(import.meta.dirname, "load/echo-server.ts"), "protobuf-es"]);
for (const concurrency of CONCURRENCIES) {
  const rest = { path: INFER_PATH, body, concurrency, seconds: SECONDS };
  const baseline: Measured = await measureServer({ ...rest, address: echo.address, headers: { "content-type": "application/grpc", te: "trailers" } }, { server: () => [echo.pid] });
  console.log(rowOf(`c=${concurrency} grpc-js echo, protobuf-es`, baseline, baseline));
  for (const door of ["inference", "gateway"] as const) console.log(rowOf(`c=${concurrency} ${door}`, await measureServer({ ...rest, ...bench.doors[door], answerBytes }, bench.processes), baseline));
}
