// Runs of models that name resources (Triton's rate limiter) wait until they hold them. What waits here is one run of an
// instance at a time: a second one that stands ready must not hold resources while the first one computes.

import type { ModelConfig, ModelInstanceGroup } from "@servable/contracts/open-inference/model_config";
import { ModelInstanceGroup_Kind } from "@servable/contracts/open-inference/model_config";
import type { Engine, EngineInput, RunOptions, RunResult } from "@servable/runtime";
import type { RateLimit, RateLimitedInstance } from "@servable/scheduling";

/** An engine whose runs wait for their resources; disposing it takes the instance out of the limiter. */
export class RateLimitedEngine implements Engine {
  readonly #engine: Engine;
  readonly #limit: RateLimit;
  #before: Promise<unknown> = Promise.resolve();

  constructor(engine: Engine, limit: RateLimit) {
    this.#engine = engine;
    this.#limit = limit;
  }

  get isUp(): boolean {
    return this.#engine.isUp;
  }

  get pid(): number | undefined {
    return this.#engine.pid;
  }

  get restartCount(): number {
    return this.#engine.restartCount;
  }

  run(inputs: readonly EngineInput[], outputs: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const run = this.#before.then(async () => {
      const release = await this.#limit.acquire(options.signal);
      try {
        return await this.#engine.run(inputs, outputs, options);
      } finally {
        release();
      }
    });
    this.#before = run.catch(() => {}); // A run that failed keeps the next one from nothing.
    return run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#limit[Symbol.dispose]();
    await this.#engine[Symbol.asyncDispose]();
  }
}

/** What the n-th instance of a version takes for a run; undefined = nothing that is limited. */
export function rateLimitOf(model: string, config: ModelConfig, instance: number): RateLimitedInstance | undefined {
  const { group, device } = placeOf(config, instance);
  const limiter = group?.rateLimiter;
  if (limiter === undefined || (limiter.resources.length === 0 && limiter.priority === 0)) return undefined;
  return { model, resources: limiter.resources.map(({ name, global, count }) => ({ name, global, count })), priority: limiter.priority, device };
}

/** The group and device of the n-th instance: groups in their order, those on GPUs once for each GPU. */
function placeOf(config: ModelConfig, instance: number): { group: ModelInstanceGroup | undefined; device: number } {
  let left = instance;
  for (const group of config.instanceGroup) {
    const count = Math.max(1, group.count);
    const devices = group.kind === ModelInstanceGroup_Kind.GPU && group.gpus.length > 0 ? group.gpus : [0];
    if (left < count * devices.length) return { group, device: devices[Math.floor(left / count)] ?? 0 };
    left -= count * devices.length;
  }
  return { group: config.instanceGroup.at(-1), device: 0 };
}
