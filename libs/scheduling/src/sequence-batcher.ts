// Forms batches of requests that belong to sequences. Two strategies:
//
// direct  A sequence is a row: slot n of an instance is row n of every batch. A row whose sequence has nothing to run is sent
//         empty and marked not ready. Right for models that keep something per row.
// oldest  Any ready requests share a batch, the oldest first, as the dynamic batcher would; fuller batches, no empty rows.
//
// With either, one batch of an instance runs at a time, so answers of one sequence come in its order, and answers of one batch
// in the order of arrival: that is all that "preserve ordering" asks of a batcher that has one instance to itself.

import { StatusError } from "@servable/errors";
import { SequenceTable, type SequenceArrival, type SequenceRequest, type SequenceTableOptions } from "./sequence-table.ts";

/** How requests of sequences share a batch. */
export type SequenceStrategy =
  | {
      readonly kind: "direct";
      /** How long a batch may wait until enough of its rows are ready. */
      readonly maxQueueDelayUs: number;
      /** The share of rows that is enough; 0 = never wait. */
      readonly minimumSlotUtilization: number;
    }
  | {
      readonly kind: "oldest";
      /** Elements of the largest batch. */
      readonly maxBatchSize: number;
      /** Sizes worth waiting for; empty = the largest only. */
      readonly preferredBatchSizes: readonly number[];
      /** How long the oldest request may wait for company. */
      readonly maxQueueDelayUs: number;
    };

/** How sequences are served. */
export interface SequenceBatcherOptions extends SequenceTableOptions {
  readonly strategy: SequenceStrategy;
}

/** Rows of one run; undefined = a row that is not ready. */
export type SequenceBatch<T> = readonly (SequenceRequest<T> | undefined)[];

/** What a batcher acts through. */
export interface SequenceBatcherDeps<T> {
  /** Microseconds of a clock that never goes back. */
  readonly nowUs: () => number;
  /** Runs a batch on an instance; resolves, never rejects, when the instance is free again. */
  readonly run: (batch: SequenceBatch<T>, instance: number) => Promise<void>;
  /** Tells that a request will not run. */
  readonly refuse: (request: SequenceRequest<T>, error: StatusError) => void;
  /** Calls back after that long; 0 = once the requests that have arrived by now are all in. The answer takes it back. */
  readonly after: (delayUs: number, callback: () => void) => () => void;
  /** Requests can run together when this is the same for them (their shapes). Asked when a batch is formed: state may have grown. */
  readonly groupOf: (request: SequenceRequest<T>) => string;
}

/** Gives the requests of sequences to instances, each sequence in its order. */
export class SequenceBatcher<T> {
  readonly #options: SequenceBatcherOptions;
  readonly #deps: SequenceBatcherDeps<T>;
  readonly #table: SequenceTable<T>;
  readonly #busy: boolean[];
  #cancelPump: (() => void) | undefined;
  #pumpAtUs = Number.POSITIVE_INFINITY;

  constructor(options: SequenceBatcherOptions, deps: SequenceBatcherDeps<T>) {
    this.#options = options;
    this.#deps = deps;
    this.#table = new SequenceTable(options);
    this.#busy = Array.from({ length: options.instanceCount }, () => false);
  }

  /** Requests that wait. */
  get queueLength(): number {
    return this.#table.queuedCount;
  }

  /** Sequences in progress. */
  get sequenceCount(): number {
    return this.#table.sequenceCount;
  }

  /** Whether a sequence goes on here: a request of it needs no START. */
  has(id: string): boolean {
    return this.#table.has(id);
  }

  /** Takes a request in. @throws StatusError `SEQUENCE_NOT_STARTED`, `QUEUE_FULL` */
  submit(arrival: SequenceArrival<T>): SequenceRequest<T> {
    const nowUs = this.#deps.nowUs();
    this.#table.expire(nowUs);
    const request = this.#table.add(arrival, nowUs);
    this.#pumpIn(0, nowUs);
    return request;
  }

  /**
   * Ends the sequence of a request that nobody waits for any more. Its caller cannot know whether the state has it, so what
   * follows would be an answer to an unknown question: requests of the sequence that wait are refused, and so are later ones
   * until START.
   */
  cancel({ sequence }: SequenceRequest<T>): void {
    const error = new StatusError("SEQUENCE_ABORTED", `sequence ${sequence.id} of '${this.#options.model}' was ended: one of its requests was cancelled or ran out of time; begin it again with START`, { metadata: { sequence: sequence.id } });
    for (const request of this.#table.drop(sequence)) this.#deps.refuse(request, error);
    this.#pumpIn(0, this.#deps.nowUs());
  }

  /** Refuses everything that waits and forgets all sequences. */
  close(error: StatusError): void {
    this.#cancelPump?.();
    for (const sequence of this.#table.all()) for (const request of this.#table.drop(sequence)) this.#deps.refuse(request, error);
  }

  #pumpIn(delayUs: number, nowUs: number): void {
    if (delayUs === Number.POSITIVE_INFINITY || nowUs + delayUs >= this.#pumpAtUs) return;
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
    let wakeAtUs = this.#table.expire(nowUs);
    for (const [instance, isBusy] of this.#busy.entries()) {
      if (isBusy) continue;
      const { batch, atUs } = this.#options.strategy.kind === "direct" ? this.#directBatch(instance, nowUs) : this.#oldestBatch(instance, nowUs);
      if (batch.length > 0) void this.#run(batch, instance);
      wakeAtUs = Math.min(wakeAtUs, atUs);
    }
    this.#pumpIn(Math.max(0, wakeAtUs - nowUs), nowUs);
  }

  async #run(batch: SequenceBatch<T>, instance: number): Promise<void> {
    this.#busy[instance] = true;
    await this.#deps.run(batch, instance);
    this.#busy[instance] = false;
    const nowUs = this.#deps.nowUs();
    for (const request of batch) if (request !== undefined) this.#table.finish(request, nowUs);
    this.#pumpIn(0, nowUs);
  }

  /** The batch to run now, or when there may be one. */
  #directBatch(instance: number, nowUs: number): { batch: SequenceBatch<T>; atUs: number } {
    const { strategy, slotsPerInstance } = this.#options;
    const ready = this.#readyRequests(instance);
    const [oldest] = ready;
    if (oldest === undefined || strategy.kind !== "direct") return NOTHING;
    const waitUntilUs = oldest.enqueuedUs + strategy.maxQueueDelayUs;
    if (ready.length / slotsPerInstance < strategy.minimumSlotUtilization && waitUntilUs > nowUs) return { batch: [], atUs: waitUntilUs };
    const group = this.#deps.groupOf(oldest);
    // Rows of another shape wait for the next batch, as if they were not ready.
    const rows = this.#table.slots(instance).map((sequence) => {
      const [head] = sequence?.queue ?? [];
      return sequence !== undefined && head !== undefined && this.#deps.groupOf(head) === group ? this.#table.begin(sequence) : undefined;
    });
    // Rows behind the last ready one are left out: nobody would miss them.
    return { batch: rows.slice(0, rows.findLastIndex((row) => row !== undefined) + 1), atUs: Number.POSITIVE_INFINITY };
  }

  #oldestBatch(instance: number, nowUs: number): { batch: SequenceBatch<T>; atUs: number } {
    const { strategy } = this.#options;
    const ready = this.#readyRequests(instance);
    const [oldest] = ready;
    if (oldest === undefined || strategy.kind !== "oldest") return NOTHING;
    const group = this.#deps.groupOf(oldest);
    const alike = ready.filter((request) => this.#deps.groupOf(request) === group).slice(0, strategy.maxBatchSize);
    const preferred = strategy.preferredBatchSizes.filter((size) => size <= alike.length).reduce((best, size) => Math.max(best, size), 0);
    const waitUntilUs = oldest.enqueuedUs + strategy.maxQueueDelayUs;
    const size = preferred > 0 ? preferred : alike.length;
    if (preferred === 0 && size < strategy.maxBatchSize && waitUntilUs > nowUs) return { batch: [], atUs: waitUntilUs };
    return { batch: alike.slice(0, size).map(({ sequence }) => this.#table.begin(sequence)), atUs: Number.POSITIVE_INFINITY };
  }

  /** The first waiting request of each sequence of an instance, oldest first. The instance runs nothing. */
  #readyRequests(instance: number): SequenceRequest<T>[] {
    return this.#table
      .slots(instance)
      .flatMap((sequence) => sequence?.queue.slice(0, 1) ?? [])
      .sort((a, b) => a.enqueuedUs - b.enqueuedUs);
  }
}

const NOTHING = { batch: [], atUs: Number.POSITIVE_INFINITY };
