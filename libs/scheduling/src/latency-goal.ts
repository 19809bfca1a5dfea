// An operator states "p99 ≤ 20 ms" and needs no tuning tool. A request may arrive just when a batch begins, so it waits for
// that run and then for its own: two runs have to fit the goal. What that model leaves out (queues of several batches, codec,
// scheduling) is learned by additive increase, multiplicative decrease of the budget: Chiu & Jain, "Analysis of the increase
// and decrease algorithms for congestion avoidance in computer networks" (1989).

const WINDOW = 200;
const SHARE_MIN = 0.02;
const DECREASE = 0.7;
const INCREASE = 0.03;

/** Turns a latency goal into a budget for the run of one batch. */
export class LatencyGoal {
  readonly #goalUs: number;
  readonly #window: number[] = [];
  #share = 0.5;

  constructor(goalUs: number) {
    this.#goalUs = goalUs;
  }

  /** How long a batch may run. */
  get runBudgetUs(): number {
    return this.#goalUs * this.#share;
  }

  /** Takes the whole time of one answered request. */
  observe(latencyUs: number): void {
    this.#window.push(latencyUs);
    if (this.#window.length < WINDOW) return;
    this.#window.sort((a, b) => a - b);
    const p99 = this.#window[Math.floor(WINDOW * 0.99)] ?? 0;
    this.#window.length = 0;
    this.#share = p99 > this.#goalUs ? Math.max(SHARE_MIN, this.#share * DECREASE) : Math.min(0.5, this.#share + INCREASE);
  }
}
