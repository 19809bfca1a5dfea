import type { Cancellation } from "@servable/grpc";
import type { NamedTensor } from "@servable/runtime";

/** A parameter's value, as the protocol has it. */
export type ParameterValue = boolean | bigint | number | string;

/** A request's place in a sequence. */
export interface SequencePlace {
  /** The correlation id as text; numbers in decimal. */
  readonly id: string;
  /** The same as a number, where the caller sent one. */
  readonly numericId: bigint | undefined;
  readonly start: boolean;
  readonly end: boolean;
}

/** A request that fits its model: names, datatypes, shapes and byte counts are checked. */
export interface InferRequest {
  readonly id: string;
  readonly inputs: readonly NamedTensor[];
  /** Outputs by name; empty = all. */
  readonly outputs: readonly string[];
  /** Elements of the batch; 1 when the model does not batch. */
  readonly batchSize: number;
  /** The caller's own parameters, without those that the protocol reserves. */
  readonly parameters: ReadonlyMap<string, ParameterValue>;
  /** 1 = first served; 0 = the model's default level. */
  readonly priority: number;
  /** How long it may wait in the queue, where the model allows callers to say; 0 = the model's own limit. */
  readonly queueTimeoutUs: number;
  readonly sequence: SequencePlace | undefined;
}

/** Who asks, and how long the answer is of use. */
export interface InferContext {
  readonly signal: AbortSignal;
  /** The same as `signal` where that is only made when somebody asks for it: what runs with every request listens here. */
  readonly cancellation?: Cancellation | undefined;
  readonly deadline: Date | undefined;
  /** Models of this project may be called on the way (steps of an ensemble). */
  readonly project: string;
  readonly requestId: string;
}

/** The same request under another signal. */
export function withSignal({ deadline, project, requestId }: InferContext, signal: AbortSignal): InferContext {
  return { signal, deadline, project, requestId };
}

/** Where a request's time went, in nanoseconds. */
export interface InferTimings {
  /** From arrival until its batch was formed. */
  readonly queueNs: number;
  /** Forming the batch and bringing it into the engine. */
  readonly inputNs: number;
  /** The graph's run. */
  readonly inferNs: number;
  /** Bringing the outputs back. */
  readonly outputNs: number;
  /** Elements of the batch that it ran in. */
  readonly executedBatchSize: number;
  /** True for one request of each executed batch: executions are counted by it. */
  readonly countsExecution: boolean;
}

/** One answer. */
export interface InferResult {
  readonly outputs: readonly NamedTensor[];
  readonly parameters?: ReadonlyMap<string, ParameterValue>;
  readonly timings: InferTimings;
  /** True when it is known to be the last answer of its request; one that is not known to be last may be last all the same. */
  readonly isFinal?: boolean;
}

/**
 * Answers the requests of one loaded version: by batches over engines, by sequences, by steps of an ensemble. It checks
 * nothing that the request's check has checked.
 */
export interface Executor extends AsyncDisposable {
  /** One request, one answer. @throws StatusError */
  infer(request: InferRequest, context: InferContext): Promise<InferResult>;
  /**
   * 0 to n answers of a decoupled model, in order. Absent = each request has one answer.
   *
   * The caller draws: an answer is made when it is asked for, so a slow reader holds its own request up and nobody else's,
   * and whoever stops asking (or aborts the context's signal) cancels between two answers. That is the place of text
   * generation: one answer a step, each step a run of the engine, the caches kept in the engine under the request's name
   * and dropped when the iterator is closed.
   */
  inferStream?(request: InferRequest, context: InferContext): AsyncIterable<InferResult>;
  /** Process ids of the engines behind it. */
  readonly pids: readonly number[];
  /** How often engines were started again after a crash. */
  readonly restartCount: number;
  /** Requests that wait. */
  readonly queueLength: number;
  /** Sequences in progress, whose state would be lost with it. @default 0 */
  readonly sequenceCount?: number;
  /** Whether a sequence goes on here, so that no other version can take its requests. */
  holdsSequence?(id: string): boolean;
}
