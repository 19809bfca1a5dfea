// Requests arrive alone, but a session likes company. Batches are formed as late as possible: when an instance is free, from
// whatever waits then. Under load batches grow by themselves; without load nobody waits for company that may not come, unless
// the operator asks for it (maxQueueDelayUs).
//
// I1  A request leaves the queue exactly once: in a batch, refused, or cancelled.
// I2  An instance runs at most one batch; one more may stand ready behind it, and only when it is as full as it can be, so that
//     a busy engine never idles between batches and an early batch never keeps latecomers out.
// I3  What cannot be answered in time is refused before it costs anything: at arrival when even the quickest way is too slow,
//     at dispatch when its time is up.

import { StatusError } from "@servable/errors";
import { LatencyCurve } from "./latency-curve.ts";
import { LatencyGoal } from "./latency-goal.ts";
import { RequestQueue, type Arrival, type QueuedRequest, type RequestQueueOptions } from "./request-queue.ts";

/** How batches are formed. */
export interface DynamicBatcherOptions extends RequestQueueOptions {
  /** Elements of the largest batch; 1 = no batching. */
  readonly maxBatchSize: number;
  /** Sizes worth waiting for; empty = any. */
  readonly preferredBatchSizes: readonly number[];
  /** How long the oldest request may wait for company. */
  readonly maxQueueDelayUs: number;
  /** The p99 that the operator wants; batches are kept small enough for it. Undefined = no goal. */
  readonly latencyGoalUs: number | undefined;
  /** How many instances run batches. */
  readonly instanceCount: number;
}

/** What a batcher acts through. */
export interface DynamicBatcherDeps<T> {
  /** Microseconds of a clock that never goes back. */
  readonly nowUs: () => number;
  /** Runs a batch on an instance; resolves, never rejects, when the instance is free again, with the run's own time. */
  readonly run: (batch: readonly QueuedRequest<T>[], instance: number) => Promise<{ readonly runUs: number } | undefined>;
  /** Tells that a request will not run. */
  readonly refuse: (request: QueuedRequest<T>, error: StatusError) => void;
  /** Calls back after that long; 0 = once the requests that have arrived by now are all in. */
  readonly after: (delayUs: number, callback: () => void) => () => void;
  /** Whether an instance can take a batch now (it may be starting again). */
  readonly isUp: (instance: number) => boolean;
}

/** One batch of so many is not kept small because larger ones did not pay. */
const PROBE_EVERY = 128;
/** Runs per curve before its predictions refuse anybody. */
const TRUSTED_OBSERVATIONS = 20;

/** Forms batches of waiting requests and gives them to instances. */
export class DynamicBatcher<T> {
  readonly #options: DynamicBatcherOptions;
  readonly #deps: DynamicBatcherDeps<T>;
  readonly #queue: RequestQueue<T>;
  readonly #curve = new LatencyCurve();
  readonly #goal: LatencyGoal | undefined;
  /** Batches at each instance, running and ready. */
  readonly #atInstance: number[];
  readonly #busyUntilUs: number[];
  #maxBatchSize: number;
  #batchCount = 1;
  #cancelPump: (() => void) | undefined;
  #pumpAtUs = Number.POSITIVE_INFINITY;

  constructor(options: DynamicBatcherOptions, deps: DynamicBatcherDeps<T>) {
    this.#options = options;
    this.#maxBatchSize = options.maxBatchSize;
    this.#deps = deps;
    this.#queue = new RequestQueue(options);
    this.#goal = options.latencyGoalUs === undefined ? undefined : new LatencyGoal(options.latencyGoalUs);
    this.#atInstance = Array.from({ length: options.instanceCount }, () => 0);
    this.#busyUntilUs = Array.from({ length: options.instanceCount }, () => 0);
  }

  /** Requests that wait. */
  get queueLength(): number {
    return this.#queue.length;
  }

  /** The largest batch that is formed now: the limit, less for the sake of the latency goal, or where larger ones do not pay. */
  get batchSizeLimit(): number {
    const limit = this.#goal === undefined ? this.#maxBatchSize : this.#curve.largestWithin(this.#goal.runBudgetUs, this.#maxBatchSize);
    // Who asks for sizes or waits for company gets it, whether it pays or not.
    if (this.#options.preferredBatchSizes.length > 0 || this.#options.maxQueueDelayUs > 0) return limit;
    // Now and then as large as may be: what does not pay today may pay tomorrow.
    return this.#batchCount % PROBE_EVERY === 0 ? limit : this.#curve.efficientSize(limit);
  }

  /** From now on batches have one request: the model turned out not to batch. */
  stopBatching(): void {
    this.#maxBatchSize = 1;
  }

  /** Queues a request. @throws StatusError `QUEUE_FULL`, `DEADLINE_EXCEEDED`, `FIELD_INVALID` */
  submit(arrival: Arrival<T>): QueuedRequest<T> {
    const nowUs = this.#deps.nowUs();
    this.#refuseHopeless(arrival, nowUs); // I3
    const request = this.#queue.push(arrival, nowUs);
    this.#pumpIn(0, nowUs);
    return request;
  }

  /** Takes a request back that nobody waits for any more; one that runs already runs on. */
  cancel(request: QueuedRequest<T>): void {
    this.#queue.remove(request);
  }

  /** Tells that an instance came up, or that the time was changed. */
  wake(): void {
    this.#pumpIn(0, this.#deps.nowUs());
  }

  /** Refuses everything that waits. */
  close(error: StatusError): void {
    this.#cancelPump?.();
    for (const request of [...this.#queue.waiting()]) this.#refuse(request, error);
  }

  #refuseHopeless({ deadlineUs, size }: Arrival<T>, nowUs: number): void {
    if (deadlineUs === Number.POSITIVE_INFINITY) return;
    if (deadlineUs <= nowUs) throw new StatusError("DEADLINE_EXCEEDED", "the deadline had passed when the request arrived");
    if (this.#curve.observationCount < TRUSTED_OBSERVATIONS) return;
    // Optimistic: what waits in front runs in full batches on all instances, and the request itself at once after it.
    const maxBatchSize = this.#maxBatchSize;
    const freeInUs = Math.max(0, Math.min(...this.#busyUntilUs) - nowUs);
    const neededBehind = (elements: number): number => freeInUs + ((elements / maxBatchSize) * this.#curve.predictUs(maxBatchSize)) / this.#options.instanceCount + this.#curve.predictUs(size);
    // In time even behind all that waits: nobody has to be counted.
    if (nowUs + neededBehind(this.#queue.elementCount) <= deadlineUs) return;
    let elementsAhead = 0;
    for (const waiting of this.#queue.waiting()) if (waiting.deadlineUs <= deadlineUs) elementsAhead += waiting.size;
    const neededUs = neededBehind(elementsAhead);
    if (nowUs + neededUs > deadlineUs) {
      throw new StatusError("DEADLINE_EXCEEDED", `the answer would take about ${Math.ceil(neededUs / 1_000)} ms, the deadline is in ${Math.floor((deadlineUs - nowUs) / 1_000)} ms: refused at once`);
    }
  }

  #pumpIn(delayUs: number, nowUs: number): void {
    if (nowUs + delayUs >= this.#pumpAtUs) return;
    this.#cancelPump?.();
    this.#pumpAtUs = nowUs + delayUs;
    this.#cancelPump = this.#deps.after(delayUs, () => {
      this.#pumpAtUs = Number.POSITIVE_INFINITY;
      this.#cancelPump = undefined;
      this.#pump();
    });
  }

  #pump(): void {
    const nowUs = this.#deps.nowUs();
    for (const request of this.#queue.expire(nowUs)) this.#refuse(request, new StatusError("REQUEST_TIMEOUT", "Request timeout expired: it waited in the queue for longer than it may"));
    for (;;) {
      const head = this.#queue.head();
      if (head === undefined) return;
      if (head.deadlineUs <= nowUs) {
        this.#refuse(head, new StatusError("DEADLINE_EXCEEDED", "the deadline passed while the request waited"));
        continue;
      }
      if (this.#freeInstance(true) === undefined) {
        // Not even a full batch would be taken: the next run that ends looks again.
        this.#pumpIn(Math.max(0, this.#queue.nextTimeoutUs() - nowUs), nowUs);
        return;
      }
      const plan = this.#plan(head, nowUs);
      const instance = this.#freeInstance(plan.isFull);
      if (instance === undefined || plan.elements === 0) {
        this.#pumpIn(Math.max(0, Math.min(plan.waitUs, this.#queue.nextTimeoutUs() - nowUs)), nowUs);
        return;
      }
      this.#dispatch(this.#queue.take(head.group, plan.elements), instance, nowUs);
    }
  }

  /** How many elements of the head's group to run now, or how long to wait for more (0 elements). */
  #plan(head: QueuedRequest<T>, nowUs: number): { elements: number; isFull: boolean; waitUs: number } {
    const limit = Math.max(this.batchSizeLimit, head.size);
    let [elements, oldestUs] = [0, head.enqueuedUs];
    let isFull = false;
    let preferred = 0;
    for (const request of this.#queue.inGroup(head.group)) {
      if (elements + request.size > limit) {
        isFull = true;
        break;
      }
      elements += request.size;
      oldestUs = Math.min(oldestUs, request.enqueuedUs);
      if (this.#options.preferredBatchSizes.includes(elements)) preferred = elements;
    }
    isFull ||= elements >= limit;
    const waitUs = oldestUs + this.#options.maxQueueDelayUs - nowUs;
    if (isFull && preferred === 0) return { elements, isFull: true, waitUs: Number.POSITIVE_INFINITY };
    if (preferred > 0) return { elements: preferred, isFull: true, waitUs: Number.POSITIVE_INFINITY };
    if (waitUs > 0) return { elements: 0, isFull: false, waitUs };
    return { elements, isFull: false, waitUs: Number.POSITIVE_INFINITY };
  }

  /** I2 */
  #freeInstance(batchIsFull: boolean): number | undefined {
    let best: number | undefined;
    for (let instance = 0; instance < this.#atInstance.length; instance++) {
      const batches = this.#atInstance[instance] ?? 0;
      if (batches > (batchIsFull ? 1 : 0) || !this.#deps.isUp(instance)) continue;
      if (best === undefined || batches < (this.#atInstance[best] ?? 0)) best = instance;
    }
    return best;
  }

  #dispatch(batch: readonly QueuedRequest<T>[], instance: number, nowUs: number): void {
    const elements = batch.reduce((sum, { size }) => sum + size, 0);
    this.#batchCount++;
    this.#atInstance[instance] = (this.#atInstance[instance] ?? 0) + 1;
    this.#busyUntilUs[instance] = Math.max(nowUs, this.#busyUntilUs[instance] ?? 0) + this.#curve.predictUs(elements);
    void this.#deps.run(batch, instance).then((done) => {
      const endUs = this.#deps.nowUs();
      const left = (this.#atInstance[instance] ?? 1) - 1;
      this.#atInstance[instance] = left;
      if (done !== undefined) this.#curve.observe(elements, done.runUs);
      this.#busyUntilUs[instance] = left === 0 ? 0 : endUs + this.#curve.predictUs(this.#maxBatchSize);
      if (done !== undefined && this.#goal !== undefined) for (const { enqueuedUs } of batch) this.#goal.observe(endUs - enqueuedUs);
      this.#pump();
    });
  }

  #refuse(request: QueuedRequest<T>, error: StatusError): void {
    this.#queue.remove(request);
    this.#deps.refuse(request, error);
  }
}
