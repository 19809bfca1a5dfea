// Requests of one model, waiting. Level 1 goes before level 2; within a level the earliest deadline goes first, and
// requests without one are given a late deadline of their own, so that nobody waits forever. Only requests of one `group`
// (one shape) can share a batch, so each level keeps a heap for each group.

import { StatusError } from "@servable/errors";

/** What happens to a request that waits longer than it may. */
export interface QueuePolicy {
  /** REJECT answers an error; DELAY lets it wait on, behind all others. */
  readonly timeoutAction: "REJECT" | "DELAY";
  /** How long a request may wait; 0 = as long as it likes. */
  readonly defaultTimeoutUs: number;
  /** Whether a request may ask for a shorter time of its own. */
  readonly allowTimeoutOverride: boolean;
  /** How many requests may wait at this level; 0 = as many as the queue as a whole takes. */
  readonly maxQueueSize: number;
}

/** One waiting request. */
export interface QueuedRequest<T> {
  readonly payload: T;
  /** Elements along the batch axis. */
  readonly size: number;
  /** Requests of one group can run together. */
  readonly group: string;
  /** 1 is served first. */
  readonly priority: number;
  /** When the answer is of no more use; Infinity = never. */
  readonly deadlineUs: number;
  readonly enqueuedUs: number;
  /** When it has waited too long; Infinity = never. */
  readonly timeoutAtUs: number;
  /** True once it was taken, refused or cancelled. */
  gone: boolean;
}

/** What a queue is told of a request. */
export interface Arrival<T> {
  readonly payload: T;
  readonly size: number;
  readonly group: string;
  /** 0 = the default level. */
  readonly priority: number;
  readonly deadlineUs: number;
  /** The request's own limit of waiting; 0 = none. */
  readonly timeoutUs: number;
}

/** Bounds and levels of a queue. */
export interface RequestQueueOptions {
  /** Levels of priority; 0 = one level that callers cannot choose. */
  readonly priorityLevels: number;
  /** Level of requests that name none. */
  readonly defaultPriorityLevel: number;
  readonly defaultPolicy: QueuePolicy;
  readonly policies: ReadonlyMap<number, QueuePolicy>;
  /** Requests that may wait at all levels together. */
  readonly queueSizeMax: number;
}

/** A request without a deadline is served as if it had this one. */
export const PATIENCE_US = 10_000_000;

/** Requests by level, group and deadline. */
export class RequestQueue<T> {
  readonly #options: RequestQueueOptions;
  /** Level → group → heap. Level `priorityLevels + 1` holds what was delayed by its time-out. */
  readonly #levels: Map<string, Heap<T>>[];
  readonly #sizes: number[];
  #length = 0;
  #elements = 0;
  /** Requests that may wait too long; without any nobody needs to look. */
  #timed = 0;

  constructor(options: RequestQueueOptions) {
    this.#options = options;
    const count = Math.max(1, options.priorityLevels) + 1;
    this.#levels = Array.from({ length: count }, () => new Map<string, Heap<T>>());
    this.#sizes = Array.from({ length: count }, () => 0);
  }

  /** Requests that wait. */
  get length(): number {
    return this.#length;
  }

  /** Their elements along the batch axis. */
  get elementCount(): number {
    return this.#elements;
  }

  /** Takes a request in. @throws StatusError `QUEUE_FULL`, `FIELD_INVALID` for a level that does not exist */
  push(arrival: Arrival<T>, nowUs: number): QueuedRequest<T> {
    const { priorityLevels, defaultPriorityLevel, queueSizeMax } = this.#options;
    const priority = priorityLevels === 0 ? 1 : arrival.priority === 0 ? Math.max(1, defaultPriorityLevel) : arrival.priority;
    if (priorityLevels > 0 && priority > priorityLevels) {
      throw new StatusError("FIELD_INVALID", `request priority ${priority} is above the model's ${priorityLevels} levels: send 1 to ${priorityLevels}, or 0 for the default`, { metadata: { field: "parameters.priority" } });
    }
    const policy = this.#options.policies.get(priority) ?? this.#options.defaultPolicy;
    const waiting = this.#sizes[priority - 1] ?? 0;
    const limit = policy.maxQueueSize > 0 ? Math.min(policy.maxQueueSize, queueSizeMax) : queueSizeMax;
    if (waiting >= limit || this.#length >= queueSizeMax) throw new StatusError("QUEUE_FULL", `Exceeds maximum queue size: ${limit} requests wait already`, { code: "UNAVAILABLE" });
    const own = policy.allowTimeoutOverride && arrival.timeoutUs > 0 && (policy.defaultTimeoutUs === 0 || arrival.timeoutUs < policy.defaultTimeoutUs) ? arrival.timeoutUs : policy.defaultTimeoutUs;
    const request: QueuedRequest<T> = {
      payload: arrival.payload,
      size: arrival.size,
      group: arrival.group,
      priority,
      deadlineUs: arrival.deadlineUs,
      enqueuedUs: nowUs,
      timeoutAtUs: own > 0 ? nowUs + own : Number.POSITIVE_INFINITY,
      gone: false,
    };
    this.#insert(request, priority - 1);
    return request;
  }

  /** Takes a request out of turn. */
  remove(request: QueuedRequest<T>): void {
    if (request.gone) return;
    request.gone = true; // Heaps drop it when it comes up.
    this.#length--;
    if (request.timeoutAtUs !== Number.POSITIVE_INFINITY) this.#timed--;
    this.#elements -= request.size;
    this.#sizes[this.#levelOf(request)] = (this.#sizes[this.#levelOf(request)] ?? 1) - 1;
  }

  /** Takes out what has waited too long and is to be refused; what may be delayed goes behind all others. */
  expire(nowUs: number): QueuedRequest<T>[] {
    const refused: QueuedRequest<T>[] = [];
    if (this.#timed === 0) return refused;
    for (const request of this.waiting()) {
      if (request.timeoutAtUs > nowUs) continue;
      const policy = this.#options.policies.get(request.priority) ?? this.#options.defaultPolicy;
      this.remove(request);
      if (policy.timeoutAction === "REJECT") {
        refused.push(request);
      } else {
        this.#insert({ ...request, timeoutAtUs: Number.POSITIVE_INFINITY, gone: false, ...DELAYED }, this.#levels.length - 1);
      }
    }
    return refused;
  }

  /** When the next request will have waited too long; Infinity = never. */
  nextTimeoutUs(): number {
    let next = Number.POSITIVE_INFINITY;
    if (this.#timed === 0) return next;
    for (const { timeoutAtUs } of this.waiting()) next = Math.min(next, timeoutAtUs);
    return next;
  }

  /** The request that would be served next. */
  head(): QueuedRequest<T> | undefined {
    for (const groups of this.#levels) {
      let best: QueuedRequest<T> | undefined;
      for (const [group, heap] of groups) {
        const top = heap.peek();
        if (top === undefined) groups.delete(group);
        else if (best === undefined || isBefore(top, best)) best = top;
      }
      if (best !== undefined) return best;
    }
    return undefined;
  }

  /** Requests of a group in the order of service, over all levels, without taking them. */
  *inGroup(group: string): Generator<QueuedRequest<T>> {
    for (const groups of this.#levels) {
      const heap = groups.get(group);
      if (heap !== undefined) yield* heap.ordered();
    }
  }

  /** All waiting requests, in no order. */
  *waiting(): Generator<QueuedRequest<T>> {
    for (const groups of this.#levels) for (const heap of groups.values()) yield* heap.live();
  }

  /** Takes up to `elementsMax` elements of a group, in the order of service; a request is never cut. */
  take(group: string, elementsMax: number): QueuedRequest<T>[] {
    const taken: QueuedRequest<T>[] = [];
    let elements = 0;
    for (const groups of this.#levels) {
      const heap = groups.get(group);
      for (let top = heap?.peek(); top !== undefined && heap !== undefined; top = heap.peek()) {
        if (taken.length > 0 && elements + top.size > elementsMax) return taken;
        heap.pop();
        this.remove(top);
        taken.push(top);
        elements += top.size;
      }
    }
    return taken;
  }

  #insert(request: QueuedRequest<T>, level: number): void {
    const groups = this.#levels[level];
    if (groups === undefined) throw new RangeError(`level ${level}`);
    let heap = groups.get(request.group);
    if (heap === undefined) groups.set(request.group, (heap = new Heap()));
    heap.push(request);
    this.#length++;
    if (request.timeoutAtUs !== Number.POSITIVE_INFINITY) this.#timed++;
    this.#elements += request.size;
    this.#sizes[level] = (this.#sizes[level] ?? 0) + 1;
  }

  #levelOf(request: QueuedRequest<T>): number {
    return DELAYED_MARK in request ? this.#levels.length - 1 : request.priority - 1;
  }
}

const DELAYED_MARK = Symbol("delayed");
const DELAYED = { [DELAYED_MARK]: true };

function orderUs({ deadlineUs, enqueuedUs }: QueuedRequest<unknown>): number {
  return Math.min(deadlineUs, enqueuedUs + PATIENCE_US);
}

/** Earliest deadline first; of equal ones the older. */
function isBefore(a: QueuedRequest<unknown>, b: QueuedRequest<unknown>): boolean {
  const [left, right] = [orderUs(a), orderUs(b)];
  return left < right || (left === right && a.enqueuedUs < b.enqueuedUs);
}

/** A binary heap whose removed entries are dropped when they come up. */
class Heap<T> {
  readonly #items: { request: QueuedRequest<T>; order: number; sequence: number }[] = [];
  #sequence = 0;

  push(request: QueuedRequest<T>): void {
    const items = this.#items;
    items.push({ request, order: orderUs(request), sequence: this.#sequence++ });
    for (let index = items.length - 1; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (!this.#less(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  peek(): QueuedRequest<T> | undefined {
    while (this.#items[0]?.request.gone === true) this.#removeTop();
    return this.#items[0]?.request;
  }

  pop(): void {
    if (this.peek() !== undefined) this.#removeTop();
  }

  *live(): Generator<QueuedRequest<T>> {
    for (const { request } of [...this.#items]) if (!request.gone) yield request;
  }

  ordered(): QueuedRequest<T>[] {
    return this.#items
      .filter(({ request }) => !request.gone)
      .sort((a, b) => a.order - b.order || a.sequence - b.sequence)
      .map(({ request }) => request);
  }

  #removeTop(): void {
    const items = this.#items;
    const last = items.pop();
    if (last === undefined || items.length === 0) return;
    items[0] = last;
    for (let index = 0; ; ) {
      const [left, right] = [2 * index + 1, 2 * index + 2];
      let least = index;
      if (left < items.length && this.#less(left, least)) least = left;
      if (right < items.length && this.#less(right, least)) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #less(a: number, b: number): boolean {
    const [left, right] = [this.#items[a], this.#items[b]];
    if (left === undefined || right === undefined) return false;
    return left.order < right.order || (left.order === right.order && left.sequence < right.sequence);
  }

  #swap(a: number, b: number): void {
    const [left, right] = [this.#items[a], this.#items[b]];
    if (left !== undefined && right !== undefined) [this.#items[a], this.#items[b]] = [right, left];
  }
}
