import type { InferTimings } from "../executors/executor.ts";
import type { Duration } from "./duration.ts";

/** Answers of one request that are told apart; later ones are counted with the last of these. */
const INDICES_MAX = 1_000;

/** Counters of the answers with one index. */
interface ResponseCounters {
  readonly computeInfer: Duration;
  readonly computeOutput: Duration;
  readonly success: Duration;
  readonly fail: Duration;
  readonly emptyResponse: Duration;
  readonly cancel: Duration;
}

/** How the answer with an index came out. */
export type ResponseOutcome = "success" | "fail" | "emptyResponse" | "cancel";

/** Counters of a decoupled model's answers by their index within the request, as the protocol has them. */
export class ResponseStats {
  readonly #byIndex: ResponseCounters[] = [];

  /** Counts one answer, or that there was none. `ns`: since the request or the answer before. */
  observe(index: number, outcome: ResponseOutcome, ns: number, timings?: InferTimings): void {
    const counters = (this.#byIndex[Math.min(index, INDICES_MAX - 1)] ??= { computeInfer: zero(), computeOutput: zero(), success: zero(), fail: zero(), emptyResponse: zero(), cancel: zero() });
    addTo(counters[outcome], ns);
    if (timings === undefined) return;
    addTo(counters.computeInfer, timings.inferNs);
    addTo(counters.computeOutput, timings.outputNs);
  }

  /** The map of ModelStatistics. */
  message(): Record<string, { [counter in keyof ResponseCounters]: { count: bigint; ns: bigint } }> {
    const entries = this.#byIndex.map(({ computeInfer, computeOutput, success, fail, emptyResponse, cancel }, index) => {
      return [String(index), { computeInfer: wire(computeInfer), computeOutput: wire(computeOutput), success: wire(success), fail: wire(fail), emptyResponse: wire(emptyResponse), cancel: wire(cancel) }] as const;
    });
    return Object.fromEntries(entries);
  }
}

function zero(): Duration {
  return { count: 0, ns: 0 };
}

function addTo(target: Duration, ns: number): void {
  target.count++;
  target.ns += ns;
}

function wire({ count, ns }: Duration): { count: bigint; ns: bigint } {
  return { count: BigInt(count), ns: BigInt(Math.round(ns)) };
}
