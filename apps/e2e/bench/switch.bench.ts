// A model's version changes under load, back and forth: no call may fail, and the slow ones may be twice as slow.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createChannel, rawUnary } from "@servable/grpc";
import { tempDir } from "@servable/testing";
import { floats, inferRequest, mlpModel } from "./load/bench-models.ts";
import { INFER_PATH, startBenchPlatform } from "./load/bench-platform.ts";
import { at } from "./load/load-generator.ts";

const SWITCHES = 6;
const CALLERS = 8;
const STEADY_MS = 8_000;

const request = inferRequest("mlp", { input: { datatype: "FP32", shape: [1, 784], data: floats(784) } });
await using bench = await startBenchPlatform({ mlp: { bytes: mlpModel() } });
const { client } = bench.platform;
using directory = tempDir();
const file = join(directory.path, "second.onnx");
writeFileSync(file, mlpModel());
await client.models.importFile({ model: "mlp", file });
const { address, headers } = bench.doors.gateway;
const channel = createChannel(address);
const metadata = { authorization: headers["authorization"] ?? "" };

let durationsMs: number[] = [];
const failures: string[] = [];
let running = true;
const callers = Array.from({ length: CALLERS }, async () => {
  while (running) {
    const before = performance.now();
    await rawUnary(channel, INFER_PATH, request, { metadata }).catch((error: unknown) => failures.push(String(error)));
    durationsMs.push(performance.now() - before);
  }
});
const p99Of = (): number => at(durationsMs.sort((a, b) => a - b), 0.99);
await new Promise((resolve) => setTimeout(resolve, STEADY_MS / 4));

durationsMs = [];
await new Promise((resolve) => setTimeout(resolve, STEADY_MS));
const steady = { count: durationsMs.length, p99Ms: p99Of() };

durationsMs = [];
for (let change = 0; change < SWITCHES; change++) await client.deployments.deploy({ model: "mlp", version: 1 + ((change + 1) % 2) });
const switching = { count: durationsMs.length, p99Ms: p99Of() };

running = false;
await Promise.all(callers);
channel.close();
console.log(`  steady: ${steady.count} calls, p99 ${steady.p99Ms.toFixed(2)} ms`);
console.log(`  during ${SWITCHES} switches: ${switching.count} calls, p99 ${switching.p99Ms.toFixed(2)} ms = ${(switching.p99Ms / steady.p99Ms).toFixed(2)} × (target ≤ 2), ${failures.length} failed (target 0)`);
for (const failure of new Set(failures)) console.log(`    ${failure}`);
if (failures.length > 0) process.exitCode = 1;
