import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import type { BlobStore } from "@servable/storage";
import type { AvailableCheckpoint, WrittenCheckpoint } from "./job-executor.ts";
import type { JobLog } from "./job-log.ts";
import type { JobRecord } from "./records.ts";
import type { CheckpointRecord } from "./run-record.ts";
import type { AttemptFence, TrainingStore } from "./training-store.ts";

/** Checkpoints looked at in one sweep. */
const SWEEP_BATCH = 100;

/** What a vault stands on. */
export interface CheckpointVaultDeps {
  readonly blobs: BlobStore;
  readonly store: TrainingStore;
  readonly log: JobLog;
  readonly now: () => number;
  /** How long the checkpoints of an ended job are kept. */
  readonly retentionMs: number;
}

/**
 * The checkpoints of all jobs: bytes as blobs by their digest, so that any service of the database goes on from them;
 * records in the database, where a stale attempt cannot write.
 */
export class CheckpointVault {
  readonly #deps: CheckpointVaultDeps;

  constructor(deps: CheckpointVaultDeps) {
    this.#deps = deps;
  }

  /**
   * Takes a checkpoint that an attempt wrote: bytes first, then the record that makes it count. The attempt's file is gone
   * afterwards.
   *
   * @throws StatusError `ATTEMPT_STALE`, `ARTIFACT_DIGEST_MISMATCH`, `DISK_FULL`
   */
  async take(attempt: AttemptFence, written: WrittenCheckpoint, keep: number, change: Partial<JobRecord>): Promise<void> {
    const { blobs, log, now } = this.#deps;
    const { path, sha256, sizeBytes, step, epoch, metrics, best } = written;
    try {
      await blobs.put(createReadStream(path), { sha256, sizeBytes });
      const record: CheckpointRecord = { step, epoch, sha256, sizeBytes, attempt: attempt.attempt, createTimeMs: now(), metrics, best };
      const dropped = await log.checkpoint(attempt, record, keep, change);
      for (const digest of dropped) await this.#release(digest);
    } catch (error) {
      // The first error is the one to tell; bytes that stay are no harm.
      await this.#release(sha256).catch(() => {});
      throw error;
    } finally {
      await rm(path, { force: true });
    }
  }

  /** A job's checkpoints, newest first. */
  list(job: string): Promise<CheckpointRecord[]> {
    return this.#deps.store.checkpoints.list(job);
  }

  /** The same as files on this machine. */
  async available(job: string): Promise<AvailableCheckpoint[]> {
    return (await this.list(job)).map(({ sha256, step }) => ({ sha256, step, path: this.#deps.blobs.path(sha256) }));
  }

  /** Removes checkpoints of jobs that ended long ago. */
  async sweep(): Promise<void> {
    const { store, now, retentionMs } = this.#deps;
    for (const { job, checkpoint } of await store.checkpoints.ofEnded(now() - retentionMs, SWEEP_BATCH)) {
      await store.checkpoints.delete(job, checkpoint.step);
      await this.#release(checkpoint.sha256);
    }
  }

  /** Removes bytes that no checkpoint names any more. */
  async #release(sha256: string): Promise<void> {
    if (!(await this.#deps.store.checkpoints.refersTo(sha256))) await this.#deps.blobs.delete(sha256);
  }
}
