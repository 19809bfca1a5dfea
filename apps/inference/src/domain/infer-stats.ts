import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ModelStatisticsSchema } from "@servable/contracts/open-inference/grpc_service";

/** One answered request, times in nanoseconds. */
export interface InferObservation {
  readonly ok: boolean;
  readonly batchSize: number;
  readonly totalNs: bigint;
  readonly queueNs: bigint;
  readonly inputNs: bigint;
  readonly inferNs: bigint;
  readonly outputNs: bigint;
}

/** Counters of one version, in the protocol's form. */
export class InferStats {
  #lastInferenceMs = 0;
  #inferenceCount = 0n;
  #executionCount = 0n;
  readonly #durations = { success: duration(), fail: duration(), queue: duration(), computeInput: duration(), computeInfer: duration(), computeOutput: duration() };
  readonly #batches = new Map<number, { input: Duration; infer: Duration; output: Duration }>();

  /** Calls answered with OK. */
  get successCount(): bigint {
    return this.#durations.success.count;
  }

  /** Calls answered with an error. */
  get failureCount(): bigint {
    return this.#durations.fail.count;
  }

  /** Counts a request; failed ones count their time only. */
  observe({ ok, batchSize, totalNs, queueNs, inputNs, inferNs, outputNs }: InferObservation, nowMs: number): void {
    const { success, fail, queue, computeInput, computeInfer, computeOutput } = this.#durations;
    if (!ok) return addTo(fail, totalNs);
    this.#lastInferenceMs = nowMs;
    this.#inferenceCount += BigInt(batchSize);
    this.#executionCount += 1n;
    addTo(success, totalNs);
    addTo(queue, queueNs);
    addTo(computeInput, inputNs);
    addTo(computeInfer, inferNs);
    addTo(computeOutput, outputNs);
    const batch = this.#batches.get(batchSize) ?? { input: duration(), infer: duration(), output: duration() };
    this.#batches.set(batchSize, batch);
    addTo(batch.input, inputNs);
    addTo(batch.infer, inferNs);
    addTo(batch.output, outputNs);
  }

  /** The message of ModelStatistics. */
  message(name: string, version: string): MessageInitShape<typeof ModelStatisticsSchema> {
    return {
      name,
      version,
      lastInference: BigInt(this.#lastInferenceMs),
      inferenceCount: this.#inferenceCount,
      executionCount: this.#executionCount,
      inferenceStats: { ...this.#durations, cacheHit: duration(), cacheMiss: duration() },
      batchStats: [...this.#batches].map(([size, { input, infer, output }]) => ({ batchSize: BigInt(size), computeInput: input, computeInfer: infer, computeOutput: output })),
    };
  }
}

interface Duration {
  count: bigint;
  ns: bigint;
}

function duration(): Duration {
  return { count: 0n, ns: 0n };
}

function addTo(target: Duration, ns: bigint): void {
  target.count += 1n;
  target.ns += ns;
}
