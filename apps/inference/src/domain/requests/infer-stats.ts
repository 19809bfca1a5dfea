import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ModelStatisticsSchema } from "@servable/contracts/open-inference/grpc_service";
import type { InferRequest, InferResult, InferTimings } from "../executors/executor.ts";
import { addDuration, noDuration, wireDuration, type Duration } from "./duration.ts";
import { ResponseStats } from "./response-stats.ts";

/** Why a request failed, as metrics know it. */
export type FailureReason = "REJECTED" | "CANCELED" | "BACKEND" | "OTHER";

/** One request that has ended. */
export type InferObservation = {
  readonly batchSize: number;
  /** From arrival to answer, nanoseconds. */
  readonly totalNs: number;
} & ({ readonly ok: true; readonly timings: InferTimings; readonly request?: InferRequest; readonly result?: InferResult } | { readonly ok: false; readonly reason: FailureReason });

/** Answers whose times are kept for quantiles. */
const RECENT_COUNT = 512;

/** Counters of one version, in the protocol's form. Cheap enough for every request: plain additions. */
export class InferStats {
  #lastInferenceMs = 0;
  inferenceCount = 0;
  executionCount = 0;
  readonly success = noDuration();
  readonly fail = noDuration();
  readonly queue = noDuration();
  readonly computeInput = noDuration();
  readonly computeInfer = noDuration();
  readonly computeOutput = noDuration();
  readonly failures: Record<FailureReason, number> = { REJECTED: 0, CANCELED: 0, BACKEND: 0, OTHER: 0 };
  /** Answers of a decoupled model, by their index. */
  readonly responses = new ResponseStats();
  /** Times of the newest answers, a ring. */
  readonly #recentNs = new Float64Array(RECENT_COUNT);
  readonly #batches = new Map<number, { input: Duration; infer: Duration; output: Duration }>();

  /** Counts a request; failed ones count their time only. */
  observe(observation: InferObservation, nowMs: number): void {
    if (!observation.ok) {
      this.failures[observation.reason]++;
      addDuration(this.fail, observation.totalNs);
      return;
    }
    const { batchSize, totalNs, timings } = observation;
    this.#lastInferenceMs = nowMs;
    this.inferenceCount += batchSize;
    this.#recentNs[this.success.count % RECENT_COUNT] = totalNs;
    addDuration(this.success, totalNs);
    addDuration(this.queue, timings.queueNs);
    addDuration(this.computeInput, timings.inputNs);
    addDuration(this.computeInfer, timings.inferNs);
    addDuration(this.computeOutput, timings.outputNs);
    if (!timings.countsExecution) return;
    this.executionCount++;
    let batch = this.#batches.get(timings.executedBatchSize);
    if (batch === undefined) this.#batches.set(timings.executedBatchSize, (batch = { input: noDuration(), infer: noDuration(), output: noDuration() }));
    addDuration(batch.input, timings.inputNs);
    addDuration(batch.infer, timings.inferNs);
    addDuration(batch.output, timings.outputNs);
  }

  /** Quantiles of the newest answers' times, nanoseconds; undefined before the first. */
  latencyNs(quantiles: readonly number[]): (number | undefined)[] {
    const sorted = this.#recentNs.slice(0, Math.min(this.success.count, RECENT_COUNT)).sort();
    return quantiles.map((quantile) => sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))]);
  }

  /** The message of ModelStatistics. */
  message(name: string, version: string): MessageInitShape<typeof ModelStatisticsSchema> {
    return {
      name,
      version,
      lastInference: BigInt(this.#lastInferenceMs),
      inferenceCount: BigInt(this.inferenceCount),
      executionCount: BigInt(this.executionCount),
      inferenceStats: {
        success: wireDuration(this.success),
        fail: wireDuration(this.fail),
        queue: wireDuration(this.queue),
        computeInput: wireDuration(this.computeInput),
        computeInfer: wireDuration(this.computeInfer),
        computeOutput: wireDuration(this.computeOutput),
        cacheHit: wireDuration(noDuration()),
        cacheMiss: wireDuration(noDuration()),
      },
      batchStats: [...this.#batches].map(([size, { input, infer, output }]) => ({ batchSize: BigInt(size), computeInput: wireDuration(input), computeInfer: wireDuration(infer), computeOutput: wireDuration(output) })),
      responseStats: this.responses.message(),
    };
  }
}
