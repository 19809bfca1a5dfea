// One place through which every call to a model is recorded, whatever wire it came by and however it ended. Records wait
// in memory for a moment and are written in batches, so that no call waits for the database.
//
// I1: a record has its id before it is queued, and the store ignores ids it knows: a batch sent twice counts once.
// I2: the queue never holds more than QUEUE_MAX records; what does not fit is reported, not silently lost.

import { setTimeout as delay } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { UsageRecord, UsageStore } from "../store/usage-store.ts";
import type { Caller } from "./caller.ts";
import type { ModelReference } from "./model-reference.ts";

const BATCH_MAX = 500;
const FLUSH_MS = 500;
const QUEUE_MAX = 20_000;
const RETRY_MS_MAX = 5_000;
/** How long the last records may take at shutdown. */
const CLOSE_MS = 5_000;
const TEXT_MAX = 200;
const VERSION_TEXT_MAX = 40;

/** What a call reports while it runs. */
export interface Meter {
  /** Bytes of request or response. */
  addBytes(count: number): void;
  /** Answers, where one call has several. @default 1 for a call that ends well */
  setUnits(count: number): void;
}

/** The meter of a call that is not one promise; it is recorded when `end` is called, once. */
export interface OpenMeter extends Meter {
  end(reference: ModelReference, error?: unknown): void;
}

/** Records usage. */
export interface UsageRecorder extends AsyncDisposable {
  /** Runs a call to a model and records it once, when it ends. */
  measure<T>(operation: string, reference: ModelReference, caller: Caller, work: (meter: Meter) => Promise<T>): Promise<T>;
  /** Begins to measure a call. */
  begin(operation: string, caller: Caller): OpenMeter;
  /** Writes what waits. */
  flush(): Promise<void>;
}

/** What a recorder stands on. */
export interface UsageRecorderOptions {
  readonly store: UsageStore;
  readonly now: () => number;
  /** Unique text of at most 16 characters. */
  readonly uniqueId: () => string;
  /** Told of records that had no room, or that could not be written before the end. */
  readonly onLost: (count: number) => void;
  readonly onWriteFailed: (error: unknown) => void;
}

/** A recorder that writes until it is disposed. */
export function createUsageRecorder({ store, now, uniqueId, onLost, onWriteFailed }: UsageRecorderOptions): UsageRecorder {
  let queue: UsageRecord[] = [];
  let writing: Promise<void> = Promise.resolve();
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const schedule = (waitMs: number): void => {
    if (isClosed) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      void flush();
    }, waitMs);
  };

  const write = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH_MAX);
      try {
        await store.add(batch);
      } catch (error) {
        failures += 1;
        onWriteFailed(error);
        schedule(Math.min(RETRY_MS_MAX, FLUSH_MS * 2 ** failures));
        return;
      }
      failures = 0;
      queue = queue.slice(batch.length);
    }
  };

  /** Behind a write under way comes another, so that what was queued meanwhile is written too. */
  const flush = (): Promise<void> => (writing = writing.then(write));

  const record = (entry: UsageRecord): void => {
    // A call that outlives the recorder has nowhere to be written: the store is closed by then.
    if (isClosed || queue.length >= QUEUE_MAX) return onLost(1);
    queue.push(entry);
    if (queue.length >= BATCH_MAX && failures === 0) void flush();
    else schedule(FLUSH_MS);
  };

  const begin: UsageRecorder["begin"] = (operation, { identity, requestId }) => {
    const started = performance.now();
    let bytes = 0;
    let units = 1;
    let open = true;
    return {
      addBytes: (count) => void (bytes += count),
      setUnits: (count) => void (units = count),
      end({ model, version }, error) {
        if (!open) return;
        open = false;
        const outcome = error === undefined ? "OK" : StatusError.from(error).code;
        const timeMs = now();
        record({
          id: `${timeMs.toString(16).padStart(12, "0")}-${uniqueId()}`,
          requestId,
          projectId: identity.project,
          apiKey: identity.principal.startsWith("projects/") ? identity.principal : "",
          model: model.slice(0, TEXT_MAX),
          modelVersion: version.slice(0, VERSION_TEXT_MAX),
          operation,
          unit: "inference",
          unitCount: outcome === "OK" ? units : 0,
          outcome,
          sizeBytes: bytes,
          durationUs: Math.round((performance.now() - started) * 1000),
          timeMs,
        });
      },
    };
  };

  return {
    begin,
    async measure(operation, reference, caller, work) {
      const meter = begin(operation, caller);
      try {
        const result = await work(meter);
        meter.end(reference);
        return result;
      } catch (error) {
        meter.end(reference, error);
        throw error;
      }
    },
    flush,
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      timer = undefined;
      const end = now() + CLOSE_MS;
      while (queue.length > 0 && now() < end) {
        await flush();
        if (queue.length > 0) await delay(FLUSH_MS / 5);
      }
      isClosed = true;
      clearTimeout(timer);
      if (queue.length > 0) onLost(queue.length);
    },
  };
}
