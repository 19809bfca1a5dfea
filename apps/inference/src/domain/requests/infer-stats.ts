import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ModelStatisticsSchema } from "@servable/contracts/open-inference/grpc_service";
import type { InferRequest, InferResult, InferTimings } from "../executors/executor.ts";
import type { Duration } from "./duration.ts";
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
  readonly success = duration();
  readonly fail = duration();
  readonly queue = duration();
  readonly computeInput = duration();
  readonly computeInfer = duration();
  readonly computeOutput = duration();
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
      addTo(this.fail, observation.totalNs);
      return;
    }
    const { batchSize, totalNs, timings } = observation;
    this.#lastInferenceMs = nowMs;
    this.inferenceCount += batchSize;
    this.#recentNs[this.success.count % RECENT_COUNT] = totalNs;
    addTo(this.success, totalNs);
    addTo(this.queue, timings.queueNs);
    addTo(this.computeInput, timings.inputNs);
    addTo(this.computeInfer, timings.inferNs);
    addTo(this.computeOutput, timings.outputNs);
    if (!timings.countsExecution) return;
    this.executionCount++;
    let batch = this.#batches.get(timings.executedBatchSize);
    if (batch === undefined) this.#batches.set(timings.executedBatchSize, (batch = { input: duration(), infer: duration(), output: duration() }));
    addTo(batch.input, timings.inputNs);
    addTo(batch.infer, timings.inferNs);
    addTo(batch.output, timings.outputNs);
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
        success: wire(this.success),
        fail: wire(this.fail),
        queue: wire(this.queue),
        computeInput: wire(this.computeInput),
        computeInfer: wire(this.computeInfer),
        computeOutput: wire(this.computeOutput),
        cacheHit: wire(duration()),
        cacheMiss: wire(duration()),
      },
      batchStats: [...this.#batches].map(([size, { input, infer, output }]) => ({ batchSize: BigInt(size), computeInput: wire(input), computeInfer: wire(infer), computeOutput: wire(output) })),
      responseStats: this.responses.message(),
    };
  }
}

function duration(): Duration {
  return { count: 0, ns: 0 };
}

function addTo(target: Duration, ns: number): void {
  target.count++;
  target.ns += ns;
}

function wire({ count, ns }: Duration): { count: bigint; ns: bigint } {
  return { count: BigInt(count), ns: BigInt(Math.round(ns)) };
}
