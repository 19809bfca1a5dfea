import type { CostEstimate } from "../domain/run-record.ts";

/** Steps that are not measured: sessions are built in them. */
const WARM_UP_STEPS = 2;
/** Steps that are. */
const MEASURED_STEPS = 5;
/** A forward pass is about a third of a step: the backward pass has two products for each of its one. */
const FORWARD_SHARE = 1 / 3;

/** Measures the first steps of an attempt. */
export class StepClock {
  readonly #stepCount: number;
  readonly #now: () => number;
  readonly #times: number[] = [];
  #startMs = 0;
  #seen = 0;
  #justNow = false;

  constructor({ stepCount, now }: { readonly stepCount: number; readonly now: () => number }) {
    this.#stepCount = stepCount;
    this.#now = now;
  }

  begin(): void {
    this.#justNow = false;
    this.#startMs = this.#now();
  }

  end(): void {
    if (this.measured) return;
    this.#seen += 1;
    if (this.#seen > WARM_UP_STEPS || this.#stepCount <= WARM_UP_STEPS) this.#times.push(this.#now() - this.#startMs);
    this.#justNow = this.measured;
  }

  /** Whether enough was measured; a short run has only its own steps. */
  get measured(): boolean {
    return this.#times.length >= MEASURED_STEPS || this.#seen >= this.#stepCount;
  }

  /** Whether the last step was the last one needed. */
  get measuredJustNow(): boolean {
    return this.#justNow;
  }

  /** @param evaluationSteps rows of all evaluations, in batches of a step */
  estimate({ parameterCount, evaluationSteps }: { readonly parameterCount: number; readonly evaluationSteps: number }): CostEstimate {
    const times = this.#times.toSorted((a, b) => a - b);
    const stepMs = times[times.length >> 1] ?? 0;
    return {
      stepCount: this.#stepCount,
      secondsPerStep: stepMs / 1_000,
      runMs: Math.round(stepMs * (this.#stepCount + FORWARD_SHARE * evaluationSteps)),
      memoryBytes: process.memoryUsage().rss,
      trainableParameterCount: parameterCount,
      measuredStepCount: times.length,
    };
  }
}
