import { setTimeout as delay } from "node:timers/promises";
import { ServableClient } from "@servable/client";
import { elementsOf, tensorOf } from "@servable/tensor";
import type { TestPlatform } from "./test-platform.ts";

/** Calls that go on until they are stopped. */
export interface SteadyLoad {
  /** Answers by the version that gave them. */
  readonly answers: ReadonlyMap<string, number>;
  /** What went wrong, in words. */
  readonly failures: readonly string[];
  /** Resolves when so many more calls were answered. */
  answered(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** A wait between two calls of one caller: the load is there to notice gaps, not to fill the machine. */
const PAUSE_MS = 2;

/** Calls a model of the add_sub family from `callers` at once; its client never tries a call twice, so nothing is smoothed over. */
export function startSteadyLoad(platform: TestPlatform, models: readonly string[], callers = 3): SteadyLoad {
  const client = new ServableClient({ address: platform.platform.grpcAddress, apiKey: platform.apiKey, retry: { attemptsMax: 1 } });
  const answers = new Map<string, number>();
  const failures: string[] = [];
  let stopped = false;
  let count = 0;
  const input = tensorOf("INT32", [1, 16], Array<number>(16).fill(21));
  const call = async (model: string): Promise<void> => {
    try {
      const { outputs, version } = await client.inference.infer({ model, inputs: { INPUT0: input, INPUT1: input }, timeoutMs: 20_000 });
      const [sum] = elementsOf(outputs["OUTPUT0"] ?? input);
      if (sum !== 42) failures.push(`${model}: ${String(sum)} instead of 42`);
      answers.set(version, (answers.get(version) ?? 0) + 1);
    } catch (error) {
      failures.push(`${model}: ${String(error)}`);
    }
    count += 1;
  };
  const loops = Array.from({ length: callers }, async (_, caller) => {
    for (let turn = caller; !stopped; turn += 1) {
      await call(models[turn % models.length] ?? "");
      await delay(PAUSE_MS);
    }
  });
  return {
    answers,
    failures,
    answered: async (more) => {
      const until = count + more;
      while (count < until) await delay(PAUSE_MS);
    },
    stop: async () => {
      stopped = true;
      await Promise.all(loops);
      client.close();
    },
  };
}
