import { linkSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { StatusError } from "@servable/errors";
import type { AvailableCheckpoint, WrittenCheckpoint } from "../domain/job-executor.ts";
import type { CheckpointPolicyRecord } from "../domain/training-spec-record.ts";
import { readCheckpoint, writeCheckpoint, type Checkpoint } from "./checkpoint-file.ts";

/** Checkpoints that the service has not taken yet; a loop that is faster waits. */
const WAITING_MAX = 3;
const WAIT_MS = 20;
/** A service that takes none for so long is not waited for. */
const WAIT_MS_MAX = 30_000;
/** Writing may take this share of the time at most: on a slow disk checkpoints by time come less often. */
const WRITING_SHARE_MAX = 0.1;

/** What a keeper stands on. */
export interface CheckpointKeeperOptions {
  /** Unset = no checkpoints. */
  readonly folder: string | undefined;
  readonly policy: CheckpointPolicyRecord;
  /** Where the policy says no time. */
  readonly intervalMs: number;
  /** What the job has from earlier attempts, newest first. */
  readonly available: readonly AvailableCheckpoint[];
  readonly onWritten: (checkpoint: WrittenCheckpoint) => void;
  readonly onDamaged: (message: string) => void;
  readonly now: () => number;
}

/** When checkpoints are written, and which one a run goes on from or back to. */
export class CheckpointKeeper {
  readonly #options: CheckpointKeeperOptions;
  readonly #intervalMs: number;
  #lastMs: number;
  #lastStep: number;
  #writingMs = 0;
  #rollback: string | undefined;

  constructor(options: CheckpointKeeperOptions) {
    this.#options = options;
    this.#intervalMs = options.policy.intervalMs ?? options.intervalMs;
    this.#lastMs = options.now();
    this.#lastStep = 0;
    if (options.folder !== undefined) mkdirSync(join(options.folder, "own"), { recursive: true });
  }

  /** Whether one is due after a step. */
  due(step: number): boolean {
    const { folder, policy, now } = this.#options;
    if (folder === undefined || step === this.#lastStep) return false;
    if (this.#onGrid(step)) return true;
    return now() - this.#lastMs >= Math.max(this.#intervalMs, this.#writingMs / WRITING_SHARE_MAX) && policy.intervalSteps === 0;
  }

  /** Writes one and tells of it; none where there is no folder or the step has one. */
  async write(checkpoint: Checkpoint, { best }: { readonly best: boolean }): Promise<void> {
    const { folder, onWritten, now } = this.#options;
    const { step, cursor, validation = {} } = checkpoint.loop;
    if (folder === undefined || step === this.#lastStep) return;
    await this.#room(folder);
    const start = now();
    const path = join(folder, `step-${step}.safetensors`);
    const { sha256, sizeBytes } = writeCheckpoint(path, checkpoint);
    if (this.#options.policy.intervalSteps === 0 || this.#onGrid(step)) this.#keepForRollback(path, folder);
    [this.#lastMs, this.#lastStep, this.#writingMs] = [now(), step, now() - start];
    onWritten({ path, sha256, sizeBytes, step, epoch: cursor.epoch, metrics: validation, best });
  }

  /** The newest checkpoint of earlier attempts whose bytes are whole; undefined = there is none, the run begins. */
  newest(): Checkpoint | undefined {
    for (const { path, sha256, step } of this.#options.available) {
      const checkpoint = this.#tryRead(path, sha256, step);
      if (checkpoint === undefined) continue;
      this.#lastStep = checkpoint.loop.step;
      return checkpoint;
    }
    return undefined;
  }

  /**
   * Where a run goes back to: the newest checkpoint on the policy's grid of steps, so that it does not depend on when a process
   * was stopped; any newest one where checkpoints are by time.
   */
  rollbackPoint(beforeStep: number): Checkpoint | undefined {
    const own = this.#rollback === undefined ? undefined : this.#tryRead(this.#rollback, undefined, beforeStep);
    if (own !== undefined) return own;
    for (const { path, sha256, step } of this.#options.available) {
      if (step > beforeStep || (this.#options.policy.intervalSteps > 0 && !this.#onGrid(step))) continue;
      const checkpoint = this.#tryRead(path, sha256, step);
      if (checkpoint !== undefined) return checkpoint;
    }
    return undefined;
  }

  /** After a rollback the same steps come again. */
  forget(step: number): void {
    this.#lastStep = step;
  }

  #onGrid(step: number): boolean {
    const { intervalSteps } = this.#options.policy;
    return intervalSteps > 0 && step % intervalSteps === 0;
  }

  /** A name of its own for the same bytes: the service removes the other one. */
  #keepForRollback(path: string, folder: string): void {
    const own = join(folder, "own", "rollback.safetensors");
    rmSync(own, { force: true });
    linkSync(path, own);
    this.#rollback = own;
  }

  #tryRead(path: string, sha256: string | undefined, step: number): Checkpoint | undefined {
    try {
      return readCheckpoint(path, sha256);
    } catch (error) {
      this.#options.onDamaged(`the checkpoint of step ${step} is left out: ${StatusError.from(error).message}`);
      return undefined;
    }
  }

  async #room(folder: string): Promise<void> {
    const waiting = (): number => readdirSync(folder).filter((name) => name.endsWith(".safetensors")).length;
    for (let waitedMs = 0; waiting() >= WAITING_MAX && waitedMs < WAIT_MS_MAX; waitedMs += WAIT_MS) await sleep(WAIT_MS);
  }
}
