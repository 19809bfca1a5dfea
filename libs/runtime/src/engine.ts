import type { Datatype, Tensor } from "@servable/tensor";

/** A tensor with its name in the graph. */
export interface NamedTensor extends Tensor {
  readonly name: string;
}

/** An input of a run. The bytes may stand in several parts, which follow each other along the first axis: a batch is formed on the way into the engine, without a copy of its own. */
export interface EngineInput {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: Uint8Array | readonly Uint8Array[];
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
  readonly inputNs: number;
  readonly inferNs: number;
  readonly outputNs: number;
}

/** What a run gave. */
export interface RunResult {
  readonly outputs: NamedTensor[];
  readonly timings: RunTimings;
}

/**
 * Runs one model. Several runs may be under way: they are executed in the order of the calls.
 *
 * Long-lived state (the caches of text generation) will live in the engine beside the session and be named by runs, so the
 * interface hands out runs, never sessions: a generation is a row of runs, cancelled by not asking for the next one.
 */
export interface Engine extends AsyncDisposable {
  /**
   * Runs the graph once and answers the named outputs, all of them when none is named.
   *
   * @throws StatusError `INFERENCE_FAILED`, `ENGINE_CRASHED`, `ENGINE_TIMEOUT`, `DEADLINE_EXCEEDED`, `CANCELLED`
   */
  run(inputs: readonly EngineInput[], outputs: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** False while it is started again after a crash, and once it is down for good. */
  readonly isUp: boolean;
  /** Process id of the engine; undefined while it is not running. */
  readonly pid: number | undefined;
  /** How often it was started again after a crash. */
  readonly restartCount: number;
}
