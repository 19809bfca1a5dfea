import type { Tensor } from "@servable/tensor";

/** A tensor with its name in the graph. */
export interface NamedTensor extends Tensor {
  readonly name: string;
}

/** Bounds of one run. */
export interface RunOptions {
  /** Stops to wait; the run itself cannot be interrupted. */
  readonly signal?: AbortSignal;
  /** After this the answer is of no use: a run that has not begun is dropped. */
  readonly deadline?: Date | undefined;
}

/** Nanoseconds that a run took inside the engine. */
export interface RunTimings {
  readonly inputNs: bigint;
  readonly inferNs: bigint;
  readonly outputNs: bigint;
}

/**
 * Runs one model. Long-lived state (caches of text generation) will live in the engine beside the session, so the interface
 * hands out runs, never sessions.
 */
export interface Engine extends AsyncDisposable {
  /**
   * Runs the graph once and answers the named outputs, all of them when none is named.
   *
   * @throws StatusError `INFERENCE_FAILED`, `ENGINE_CRASHED`, `ENGINE_TIMEOUT`, `DEADLINE_EXCEEDED`, `CANCELLED`
   */
  run(inputs: readonly NamedTensor[], outputs: readonly string[], options?: RunOptions): Promise<{ outputs: NamedTensor[]; timings: RunTimings }>;
  /** Process id of the engine; undefined while it is not running. */
  readonly pid: number | undefined;
  /** How often it was started again after a crash. */
  readonly restartCount: number;
}
