// The loop around a task and a trainer: steps, evaluations, early stopping, checkpoints, and the way back when the loss is no
// number any more.
//
// I1  What a step does follows from the loop's state and the trainer's alone: a loop that goes on from a checkpoint, in
//     whatever process, ends with the same bits as one that was never stopped.
// I2  A checkpoint is written between two steps, after the evaluation that belongs to the last one.

import { StatusError } from "@servable/errors";
import { earlyStopping, type EarlyStopping } from "@servable/optim";
import { createTrainer, type Snapshot, type StepResult, type Trainer } from "@servable/trainer";
import type { AttemptInput, AttemptNews } from "../domain/job-executor.ts";
import type { EvaluationRecord } from "../domain/records.ts";
import type { CostEstimate, RunRecord } from "../domain/run-record.ts";
import { BatchCursor } from "./batch-cursor.ts";
import { CheckpointKeeper } from "./checkpoint-keeper.ts";
import type { LearningTask } from "./learning-task.ts";
import { metricsOf } from "./loop-metrics.ts";
import { ProgressMeter } from "./progress-meter.ts";
import { LOOP_START, type LoopState } from "./loop-state.ts";
import type { StopRequest } from "./parent-link.ts";
import { checkSameRun, instructionSet, splitDigest, versions } from "./run-facts.ts";
import { StepClock } from "./step-clock.ts";
import { directionOf, optimizerOf, plateauOf, scheduleOf, watchedMetric } from "./training-settings.ts";

/** Time between two checkpoints where nobody says one. */
const CHECKPOINT_INTERVAL_MS = 60_000;
/** A rollback multiplies the learning rate by this. */
const ROLLBACK_FACTOR = 0.5;

/** What a loop is told and tells. */
export interface LoopHooks {
  /** Aborts with a {@link StopRequest}. */
  readonly stop: AbortSignal;
  readonly onNews: (news: AttemptNews) => void;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** How a loop ended. */
export type LoopEnd = "finished" | "stopped" | "probed";

/** One attempt's loop. */
export class TrainingLoop implements AsyncDisposable {
  readonly #task: LearningTask;
  readonly #input: AttemptInput;
  readonly #hooks: LoopHooks;
  readonly #cursor: BatchCursor;
  readonly #keeper: CheckpointKeeper;
  readonly #clock: StepClock;
  readonly #meter: ProgressMeter;
  readonly #stopping: EarlyStopping | undefined;
  readonly #stepCount: number;
  #trainer: Trainer | undefined;
  #state: LoopState = LOOP_START;
  #best: Snapshot["tensors"] | undefined;
  #record: RunRecord;

  /** @throws StatusError `FIELD_INVALID` when what the specification watches cannot be measured */
  constructor(task: LearningTask, input: AttemptInput, hooks: LoopHooks) {
    const { spec } = input;
    [this.#task, this.#input, this.#hooks] = [task, input, hooks];
    this.#cursor = new BatchCursor({ rows: task.trainingRows, batchSize: spec.batchSize, accumulationCount: spec.accumulationCount, seed: spec.seed });
    this.#stepCount = spec.stepCountMax > 0 ? spec.stepCountMax : spec.epochCount * this.#cursor.stepsPerEpoch;
    if (spec.earlyStopping !== undefined) {
      if (task.validationRows.length === 0) throw new StatusError("FIELD_INVALID", "training_job.spec.early_stopping watches the validation rows and there are none: set validation_fraction or a split", { metadata: { field: "training_job.spec.early_stopping" } });
      const { metric, patience, minDelta } = spec.earlyStopping;
      this.#stopping = earlyStopping({ patience, threshold: minDelta, mode: directionOf(metric) });
      this.#state = { ...LOOP_START, earlyStopping: this.#stopping.initial };
    }
    this.#keeper = new CheckpointKeeper({
      folder: input.mode === "probe" ? undefined : input.checkpointDir,
      policy: spec.checkpointPolicy,
      intervalMs: input.checkpointIntervalMs ?? CHECKPOINT_INTERVAL_MS,
      available: input.checkpoints ?? [],
      onWritten: (checkpoint) => hooks.onNews({ kind: "checkpoint", checkpoint }),
      onDamaged: (text) => this.#say("warning", text),
      now: hooks.now,
    });
    this.#clock = new StepClock({ stepCount: this.#stepCount, now: hooks.now });
    this.#meter = new ProgressMeter({
      stepCount: this.#stepCount,
      epochCount: Math.ceil(this.#stepCount / this.#cursor.stepsPerEpoch),
      // From the step alone, so that a run that goes on from a checkpoint counts on; the last look need not be a whole interval away.
      evaluationsAt: (step) => (step === this.#stepCount ? Math.ceil(step / this.#evaluationInterval()) : Math.floor(step / this.#evaluationInterval())),
      onNews: hooks.onNews,
      now: hooks.now,
    });
    this.#record = {
      seed: spec.seed,
      threadCount: spec.threadCount,
      datasetDigest: input.datasetDigest ?? "",
      splitDigest: splitDigest(task.trainingRows, task.validationRows, task.testRows),
      graphDigest: "",
      weightsDigest: "",
      versions: versions(),
      instructionSet: instructionSet(),
      specificationJson: JSON.stringify(spec),
      baseModelDigest: input.baseModel?.digest ?? "",
      trainableParameterCount: 0,
      stepCount: 0,
    };
  }

  /** What decides the result, as far as it is known. */
  get record(): RunRecord {
    return { ...this.#record, stepCount: this.#state.step };
  }

  /** The trainer; it has the result's weights once the loop finished. */
  get trainer(): Trainer {
    if (this.#trainer === undefined) throw new StatusError("INTERNAL", "the loop has not begun");
    return this.#trainer;
  }

  /** What the probe measured. */
  get estimate(): CostEstimate {
    const evaluationCount = this.#task.validationRows.length === 0 ? 0 : Math.ceil(this.#stepCount / this.#evaluationInterval());
    const rowsPerStep = Math.min(this.#task.trainingRows.length, this.#input.spec.batchSize * this.#input.spec.accumulationCount);
    return this.#clock.estimate({ parameterCount: this.trainer.parameterCount, evaluationSteps: (evaluationCount * this.#task.validationRows.length) / rowsPerStep });
  }

  /**
   * Trains to the end, or to the next stop.
   *
   * @throws StatusError `TRAINING_DIVERGED`, `CHECKPOINT_INCOMPATIBLE`, `NETWORK_INVALID`
   */
  async run(): Promise<LoopEnd> {
    const { stop } = this.#hooks;
    await this.#begin();
    while (this.#state.step < this.#stepCount && this.#state.earlyStopping?.stopped !== true) {
      if (stop.aborted) {
        if ((stop.reason as StopRequest).save) await this.#checkpoint();
        return "stopped";
      }
      await this.#step();
      if (this.#input.mode === "probe" && this.#clock.measured) return "probed";
      if (this.#keeper.due(this.#state.step)) await this.#checkpoint();
    }
    this.#takeBest();
    return "finished";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trainer?.[Symbol.asyncDispose]();
  }

  /** A new trainer, at the newest checkpoint where there is one. */
  async #begin(): Promise<void> {
    await this.#create();
    const from = this.#keeper.newest();
    this.#hooks.onNews({ kind: "record", runRecord: this.record });
    for (const text of this.#task.warnings) if (from === undefined) this.#say("warning", text);
    if (from === undefined) return;
    checkSameRun(from.record, this.#record);
    this.#restore(from);
    this.#say("info", `goes on from the checkpoint of step ${from.loop.step}`);
  }

  async #create(): Promise<void> {
    const { spec } = this.#input;
    const { network, initial } = this.#task;
    const plateau = plateauOf(spec);
    const schedule = scheduleOf(spec, this.#stepCount);
    await this.#trainer?.[Symbol.asyncDispose]();
    this.#trainer = await createTrainer({
      network,
      optimizer: optimizerOf(spec),
      seed: spec.seed,
      threads: spec.threadCount,
      schedule: (step) => schedule(step) * this.#state.rateFactor,
      ...(plateau === undefined ? {} : { plateau }),
      ...(spec.clipNorm === 0 ? {} : { clipNorm: spec.clipNorm }),
      ...(spec.emaDecay === 0 ? {} : { averageDecay: spec.emaDecay }),
      ...(initial === undefined ? {} : { initial }),
    });
    // Of the first batch's sizes, whichever batch this process begins with.
    const rows = new BatchCursor({ rows: this.#task.trainingRows, batchSize: spec.batchSize, accumulationCount: 1, seed: spec.seed }).next()[0] ?? new Uint32Array();
    const graphDigest = `sha256:${this.#trainer.prepare(this.#task.feeds(rows, { epoch: 1, step: 0 }))}`;
    this.#record = { ...this.#record, graphDigest, trainableParameterCount: this.#trainer.parameterCount };
  }

  async #step(): Promise<void> {
    this.#clock.begin();
    const { cursor } = this.#state;
    const batches = this.#cursor.next().map((rows, index) => this.#task.feeds(rows, { epoch: this.#cursor.state.epoch, step: this.#state.step * this.#input.spec.accumulationCount + index }));
    const result = await this.trainer.step(batches);
    if (!result.applied) return this.#rollBack(result, cursor);
    this.#state = { ...this.#state, step: result.step, cursor: this.#cursor.state };
    this.#clock.end();
    this.#meter.count(result, batches);
    if (this.#clock.measuredJustNow) this.#hooks.onNews({ kind: "estimate", estimate: this.estimate });
    const evaluates = this.#evaluationDue();
    if (evaluates) await this.#evaluate();
    this.#meter.report(this.#state, evaluates || this.#state.step === this.#stepCount);
  }

  #evaluationInterval(): number {
    return this.#input.spec.evaluationIntervalSteps || this.#cursor.stepsPerEpoch;
  }

  #evaluationDue(): boolean {
    if (this.#task.validationRows.length === 0 || this.#input.mode === "probe") return false;
    const { evaluationIntervalSteps } = this.#input.spec;
    return this.#state.step === this.#stepCount || (evaluationIntervalSteps > 0 ? this.#state.step % evaluationIntervalSteps === 0 : this.#cursor.atEpochEnd);
  }

  async #evaluate(): Promise<void> {
    const report = await this.#task.judge(this.#task.validationRows, (batch) => this.trainer.evaluate(batch), "summary");
    const validation = metricsOf(report);
    const value = this.#watched(validation, report);
    this.trainer.observe(value);
    this.#state = { ...this.#state, validation };
    if (this.#stopping === undefined || this.#state.earlyStopping === undefined) return;
    const before = this.#state.earlyStopping;
    const after = this.#stopping.observe(before, value);
    this.#state = { ...this.#state, earlyStopping: after };
    if (after.bestAt !== before.bestAt) {
      this.#best = new Map([...this.trainer.save().tensors].filter(([name]) => !name.startsWith("optimizer/")));
      this.#state = { ...this.#state, bestStep: this.#state.step };
    }
    if (after.stopped) this.#say("info", `stops early: ${watchedMetric(this.#input.spec)} has not improved since step ${this.#state.bestStep}`);
  }

  #watched(metrics: Readonly<Record<string, number>>, { kind }: EvaluationRecord): number {
    const name = watchedMetric(this.#input.spec);
    const value = metrics[name];
    if (value === undefined) throw new StatusError("FIELD_INVALID", `training_job.spec.early_stopping.metric "${name}" is not measured for ${kind}: choose one of ${Object.keys(metrics).join(", ")}`, { metadata: { field: "training_job.spec.early_stopping.metric" } });
    return value;
  }

  /** Goes back with a lower rate. @throws StatusError `TRAINING_DIVERGED` when it went back often enough */
  async #rollBack({ loss, gradientNorm }: StepResult, cursor: LoopState["cursor"]): Promise<void> {
    const { spec } = this.#input;
    const { step, rateFactor, rollbackCount } = this.#state;
    const what = Number.isFinite(loss) ? `the gradients became ${gradientNorm}` : `the loss became ${loss}`;
    if (rollbackCount >= spec.rollbackCountMax) {
      throw new StatusError("TRAINING_DIVERGED", `${what} at step ${step + 1}${rollbackCount === 0 ? "" : `, also after ${rollbackCount} times going back with a lower rate`}: lower the learning rate (it is ${spec.learningRate}), or set clip_norm`);
    }
    this.#cursor.state = cursor;
    const target = this.#keeper.rollbackPoint(step);
    if (target !== undefined) this.#restore(target);
    else {
      this.#state = { ...LOOP_START, earlyStopping: this.#stopping?.initial };
      this.#cursor.state = LOOP_START.cursor;
      this.#best = undefined;
      await this.#create();
    }
    this.#state = { ...this.#state, rateFactor: rateFactor * ROLLBACK_FACTOR, rollbackCount: rollbackCount + 1 };
    this.#keeper.forget(this.#state.step);
    this.#say("warning", `${what} at step ${step + 1}: went back to step ${this.#state.step}, the learning rate is ${spec.learningRate * this.#state.rateFactor} from here`);
  }

  #restore({ snapshot, best, loop }: { snapshot: Snapshot; best: Snapshot["tensors"] | undefined; loop: LoopState }): void {
    this.trainer.restore(snapshot);
    this.#state = loop;
    this.#cursor.state = loop.cursor;
    this.#best = best;
    this.#meter.restart();
  }

  async #checkpoint(): Promise<void> {
    const { bestStep, step } = this.#state;
    await this.#keeper.write({ snapshot: this.trainer.save(), best: this.#best, loop: this.#state, record: this.record }, { best: bestStep > 0 && bestStep === step });
  }

  /** The result of a run that watches a metric is where it was best. */
  #takeBest(): void {
    if (this.#best === undefined) return;
    const last = this.trainer.save();
    this.trainer.restore({ ...last, tensors: new Map([...last.tensors, ...this.#best]) });
  }

  #say(severity: "info" | "warning", text: string): void {
    this.#hooks.onNews({ kind: "log", message: { severity, text } });
  }
}

