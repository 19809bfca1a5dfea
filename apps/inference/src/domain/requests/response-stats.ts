import type { InferTimings } from "../executors/executor.ts";
import { addDuration, noDuration, wireDuration, type Duration } from "./duration.ts";

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
    const counters = (this.#byIndex[Math.min(index, INDICES_MAX - 1)] ??= { computeInfer: noDuration(), computeOutput: noDuration(), success: noDuration(), fail: noDuration(), emptyResponse: noDuration(), cancel: noDuration() });
    addDuration(counters[outcome], ns);
    if (timings === undefined) return;
    addDuration(counters.computeInfer, timings.inferNs);
    addDuration(counters.computeOutput, timings.outputNs);
  }

  /** The map of ModelStatistics. */
  message(): Record<string, { [counter in keyof ResponseCounters]: { count: bigint; ns: bigint } }> {
    const entries = this.#byIndex.map(({ computeInfer, computeOutput, success, fail, emptyResponse, cancel }, index) => {
      return [String(index), { computeInfer: wireDuration(computeInfer), computeOutput: wireDuration(computeOutput), success: wireDuration(success), fail: wireDuration(fail), emptyResponse: wireDuration(emptyResponse), cancel: wireDuration(cancel) }] as const;
    });
    return Object.fromEntries(entries);
  }
}
