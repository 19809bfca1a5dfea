// What waits costs: resident memory of an inference service with one small model loaded, and what its engine child has for
// itself. Pages of the Node binary are shared by all processes and counted in the first number, not in the second.

import { setTimeout as delay } from "node:timers/promises";
import { floats, inferRequest, mlpModel } from "./load/bench-models.ts";
import { startBenchPlatform } from "./load/bench-platform.ts";
import { privateDirtyMib, residentMib } from "./load/process-cost.ts";

/** How long services are left alone before they are measured. */
const SETTLE_MS = 10_000;

const request = inferRequest("mlp", { input: { datatype: "FP32", shape: [1, 784], data: floats(784) } });
await using bench = await startBenchPlatform({ mlp: { bytes: mlpModel() } });
for (let call = 0; call < 100; call++) await bench.answerTo("gateway", request);
await delay(SETTLE_MS);
for (const [name, pids] of Object.entries(bench.processes)) {
  for (const pid of pids()) console.log(`  ${name.padEnd(10)} resident ${residentMib(pid).toFixed(1)} MiB, private dirty ${privateDirtyMib(pid).toFixed(1)} MiB`);
}
console.log("  targets: inference resident ≤ 120 MiB, engine private dirty ≤ 25 MiB");
