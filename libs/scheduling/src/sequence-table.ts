// The sequences that a model is in the middle of, and the slots they hold. A sequence keeps its slot (one row of the batch of
// one instance) from its START to its END, so that a model may keep a thing per row; sequences for which no slot is free wait
// in line with all their requests.
//
// I1  At most one request of a sequence runs, and they run in the order of their arrival.
// I2  A sequence holds a slot or stands in the backlog, never both; a slot that is given back goes to the head of the backlog.
// I3  A sequence without a request for `maxIdleUs` is forgotten. One with requests that wait or run is not idle.
//
// Source of the semantics: Triton's sequence batcher, triton-inference-server/core, src/sequence_batch_scheduler.cc.

import { StatusError } from "@servable/errors";

/** Bounds of the table. */
export interface SequenceTableOptions {
  readonly instanceCount: number;
  /** Sequences that an instance is in the middle of at once. */
  readonly slotsPerInstance: number;
  /** How long a sequence may go without a request before it is forgotten. */
  readonly maxIdleUs: number;
  /** Sequences that are known at once, in slots and in the backlog. */
  readonly sequencesMax: number;
  /** Requests of one sequence that may wait. */
  readonly queuedPerSequenceMax: number;
  /** For messages. */
  readonly model: string;
}

/** What is told of a request when it arrives. */
export interface SequenceArrival<T> {
  readonly payload: T;
  /** The correlation id as text. */
  readonly id: string;
  readonly start: boolean;
  readonly end: boolean;
}

/** One request of a sequence that waits or runs. */
export interface SequenceRequest<T> extends SequenceArrival<T> {
  readonly enqueuedUs: number;
  /** Changes when the id is used again before its former sequence has run to its end. */
  sequence: Sequence<T>;
}

/** One sequence. */
export interface Sequence<T> {
  readonly id: string;
  /** Where it runs; undefined while it waits in the backlog. */
  slot: { readonly instance: number; readonly index: number } | undefined;
  /** Requests that wait, in the order of arrival. */
  readonly queue: SequenceRequest<T>[];
  isRunning: boolean;
  /** Whether a request may follow without START. */
  isOpen: boolean;
  lastActiveUs: number;
}

/** The sequences in progress with their slots. */
export class SequenceTable<T> {
  readonly #options: SequenceTableOptions;
  /** Least recently active first. */
  readonly #sequences = new Map<string, Sequence<T>>();
  readonly #slots: (Sequence<T> | undefined)[][];
  readonly #backlog: Sequence<T>[] = [];
  #queuedCount = 0;

  constructor(options: SequenceTableOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.instanceCount }, () => Array.from({ length: options.slotsPerInstance }, () => undefined));
  }

  /** Sequences in progress, with those of the backlog. */
  get sequenceCount(): number {
    return this.#sequences.size;
  }

  /** Whether a sequence goes on: a request of it needs no START. */
  has(id: string): boolean {
    return this.#sequences.get(id)?.isOpen === true;
  }

  /** Requests that wait. */
  get queuedCount(): number {
    return this.#queuedCount;
  }

  /** The slots of an instance; undefined = free. */
  slots(instance: number): readonly (Sequence<T> | undefined)[] {
    return this.#slots[instance] ?? [];
  }

  /**
   * Takes a request in behind the others of its sequence. START on a sequence in progress ends that one early: what it has
   * queued still runs, then its state begins anew.
   *
   * @throws StatusError `SEQUENCE_NOT_STARTED`, `QUEUE_FULL`
   */
  add(arrival: SequenceArrival<T>, nowUs: number): SequenceRequest<T> {
    const { sequencesMax, queuedPerSequenceMax, model } = this.#options;
    let sequence = this.#sequences.get(arrival.id);
    if (!arrival.start && sequence?.isOpen !== true) {
      throw new StatusError("SEQUENCE_NOT_STARTED", `inference request for sequence ${arrival.id} to model '${model}' must specify the START flag on the first request of the sequence`, { metadata: { sequence: arrival.id } });
    }
    if (sequence === undefined) {
      if (this.#sequences.size >= sequencesMax) throw new StatusError("QUEUE_FULL", `Exceeds maximum queue size: ${sequencesMax} sequences of '${model}' are in progress`, { code: "UNAVAILABLE" });
      sequence = { id: arrival.id, slot: undefined, queue: [], isRunning: false, isOpen: false, lastActiveUs: nowUs };
      this.#sequences.set(arrival.id, sequence);
      this.#place(sequence);
    }
    if (sequence.queue.length >= queuedPerSequenceMax) throw new StatusError("QUEUE_FULL", `Exceeds maximum queue size: ${queuedPerSequenceMax} requests of sequence ${arrival.id} wait for '${model}'`, { code: "UNAVAILABLE" });
    const request: SequenceRequest<T> = { ...arrival, enqueuedUs: nowUs, sequence };
    sequence.queue.push(request);
    this.#queuedCount++;
    sequence.isOpen = !arrival.end;
    this.#touch(sequence, nowUs);
    return request;
  }

  /** Takes the oldest request of a sequence out of its queue: it runs now. */
  begin(sequence: Sequence<T>): SequenceRequest<T> {
    const request = sequence.queue.shift();
    if (request === undefined || sequence.isRunning) throw new TypeError(`sequence ${sequence.id} has nothing to run`); // I1
    sequence.isRunning = true;
    this.#queuedCount--;
    return request;
  }

  /** Tells that a request has run; its sequence ends with END. */
  finish({ sequence, end }: SequenceRequest<T>, nowUs: number): void {
    sequence.isRunning = false;
    if (this.#sequences.get(sequence.id) !== sequence) return this.#release(sequence); // dropped while it ran
    if (!end) return this.#touch(sequence, nowUs);
    this.#sequences.delete(sequence.id);
    const rest = sequence.queue.splice(0);
    if (rest.length > 0) {
      // The id was started again: another sequence, which stands in line like all new ones.
      const next: Sequence<T> = { id: sequence.id, slot: undefined, queue: rest, isRunning: false, isOpen: sequence.isOpen, lastActiveUs: nowUs };
      for (const request of rest) request.sequence = next;
      this.#sequences.set(next.id, next);
      this.#backlog.push(next);
    }
    this.#release(sequence);
  }

  /** Forgets a sequence; answers the requests of it that will not run. One that runs keeps its slot until it is finished. */
  drop(sequence: Sequence<T>): SequenceRequest<T>[] {
    if (this.#sequences.get(sequence.id) !== sequence) return [];
    this.#sequences.delete(sequence.id);
    const inLine = this.#backlog.indexOf(sequence);
    if (inLine !== -1) this.#backlog.splice(inLine, 1);
    const dropped = sequence.queue.splice(0);
    this.#queuedCount -= dropped.length;
    if (!sequence.isRunning) this.#release(sequence);
    return dropped;
  }

  /** I3: forgets what is idle; answers when to look again, Infinity while there is nothing to wait for. */
  expire(nowUs: number): number {
    // Whoever is busy goes to the end of the line, so the first idle one that may stay ends the search.
    for (let unseen = this.#sequences.size; unseen > 0; unseen--) {
      const [sequence] = this.#sequences.values();
      if (sequence === undefined) break;
      if (sequence.isRunning || sequence.queue.length > 0) {
        this.#touch(sequence, nowUs);
        continue;
      }
      const atUs = sequence.lastActiveUs + this.#options.maxIdleUs;
      if (atUs > nowUs) return atUs;
      this.drop(sequence);
    }
    return this.#sequences.size === 0 ? Number.POSITIVE_INFINITY : nowUs + this.#options.maxIdleUs;
  }

  /** Every sequence, least recently active first. */
  all(): Sequence<T>[] {
    return [...this.#sequences.values()];
  }

  #touch(sequence: Sequence<T>, nowUs: number): void {
    sequence.lastActiveUs = nowUs;
    this.#sequences.delete(sequence.id);
    this.#sequences.set(sequence.id, sequence);
  }

  /** I2: the emptiest instance, its lowest slot; new ones go behind those that wait. */
  #place(sequence: Sequence<T>): void {
    const instance = this.#backlog.length > 0 ? undefined : this.#emptiestInstance();
    if (instance === undefined) this.#backlog.push(sequence);
    else this.#occupy(sequence, instance);
  }

  #occupy(sequence: Sequence<T>, instance: number): void {
    const slots = this.#slots[instance] ?? [];
    const index = slots.indexOf(undefined);
    slots[index] = sequence;
    sequence.slot = { instance, index };
  }

  #emptiestInstance(): number | undefined {
    let best: { instance: number; free: number } | undefined;
    for (const [instance, slots] of this.#slots.entries()) {
      const free = slots.filter((slot) => slot === undefined).length;
      if (free > (best?.free ?? 0)) best = { instance, free };
    }
    return best?.instance;
  }

  #release(sequence: Sequence<T>): void {
    const { slot } = sequence;
    if (slot === undefined) return;
    sequence.slot = undefined;
    (this.#slots[slot.instance] ?? [])[slot.index] = undefined;
    const next = this.#backlog.shift();
    if (next !== undefined) this.#occupy(next, slot.instance);
  }
}
