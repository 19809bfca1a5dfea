import type { Feeds, StepResult } from "@servable/trainer";
import type { AttemptNews } from "../domain/job-executor.ts";
import type { LoopState } from "./loop-state.ts";

/** Progress comes at most so often, and at each evaluation. */
const PROGRESS_EVERY_MS = 200;
/** The input by which a language model's items are counted. */
const TOKENS_INPUT = "input_ids";

/** What a meter stands on. */
export interface ProgressMeterOptions {
  readonly stepCount: number;
  readonly epochCount: number;
  /** Looks at the validation rows up to a step, this one included: the resource that pruners count by. */
  readonly evaluationsAt: (step: number) => number;
  readonly onNews: (news: AttemptNews) => void;
  readonly now: () => number;
}

/** Tells how far a loop is, how fast, and what the process used: the heartbeat of an attempt. */
export class ProgressMeter {
  readonly #options: ProgressMeterOptions;
  readonly #startMs: number;
  #lastMs: number;
  #last: StepResult | undefined;
  #lossSum = 0;
  #since = 0;
  #itemsSince = 0;
  #rowCount = 0;
  #tokenCount = 0;

  constructor(options: ProgressMeterOptions) {
    this.#options = options;
    this.#startMs = this.#lastMs = options.now();
  }

  /** A step was done over batches. */
  count(result: StepResult, batches: readonly Feeds[]): void {
    this.#last = result;
    this.#lossSum += result.loss;
    this.#since += 1;
    for (const feeds of batches) {
      const rows = Object.values(feeds)[0]?.shape[0] ?? 0;
      const tokens = feeds[TOKENS_INPUT]?.data.length ?? 0;
      this.#rowCount += rows;
      this.#tokenCount += tokens;
      this.#itemsSince += tokens > 0 ? tokens : rows;
    }
  }

  /** The loop went to another step. */
  restart(): void {
    [this.#lossSum, this.#since, this.#itemsSince, this.#lastMs] = [0, 0, 0, this.#options.now()];
  }

  /** Tells of the state, if it is time or `always`. */
  report({ step, cursor, validation }: LoopState, always: boolean): void {
    const { stepCount, epochCount, evaluationsAt, onNews, now } = this.#options;
    const elapsedMs = now() - this.#lastMs;
    if (this.#last === undefined || this.#since === 0 || (!always && elapsedMs < PROGRESS_EVERY_MS)) return;
    this.#tellUsage();
    const stepsPerSecond = (this.#since * 1_000) / Math.max(1e-3, elapsedMs);
    onNews({
      kind: "progress",
      progress: {
        epoch: cursor.epoch,
        epochCount,
        step,
        stepCount,
        loss: this.#lossSum / this.#since,
        stepsPerSecond,
        ...(validation === undefined ? {} : { metrics: validation, evaluationCount: evaluationsAt(step), validationLoss: validation["validation_loss"], validationAccuracy: validation["accuracy"] }),
        learningRate: this.#last.learningRate,
        gradientNorm: this.#last.gradientNorm,
        itemsPerSecond: (this.#itemsSince * 1_000) / Math.max(1e-3, elapsedMs),
        remainingMs: Math.round(((stepCount - step) * 1_000) / stepsPerSecond),
      },
    });
    this.restart();
  }

  #tellUsage(): void {
    const { user, system } = process.cpuUsage();
    this.#options.onNews({
      kind: "usage",
      usage: { runMs: this.#options.now() - this.#startMs, cpuMs: (user + system) / 1_000, peakMemoryBytes: process.memoryUsage().rss, rowCount: this.#rowCount, tokenCount: this.#tokenCount },
    });
  }
}
