// A training service in a process of its own, to be killed: `learning_rate` alone decides the loss, each training takes
// a moment. The configuration comes as the first argument.

import { setTimeout as sleep } from "node:timers/promises";
import { startServer, type TrainingConfig } from "../../src/index.ts";
import { surfaceExecutor } from "./surface-executor.ts";

const { execute } = surfaceExecutor({ loss: ({ learningRate }) => (Math.log10(learningRate) + 2) ** 2, looks: 2 });
await startServer(JSON.parse(process.argv[2] ?? "") as TrainingConfig, {
  execute: async (input, hooks) => {
    await sleep(15);
    return execute(input, hooks);
  },
});
process.send?.("ready");
