import { Presets, SingleBar } from "cli-progress";
import type { TrainingProgress } from "@servable/contracts/training/v1/training_job";
import { formatDuration } from "./estimate.ts";
import type { Output } from "../terminal.ts";

/** Where there is no terminal to redraw, a line comes at each epoch, and not more often than this. */
const PLAIN_LINE_MS = 2_000;

/** Shows how a job goes on. */
export interface ProgressView {
  update(progress: TrainingProgress): void;
  /** Shows a sentence above the progress. */
  note(text: string): void;
  /** Leaves the last state standing. */
  stop(): void;
}

/** A moving bar on a terminal, plain lines elsewhere. */
export function createTrainingProgress(output: Output): ProgressView {
  return output.isTTY === true ? barView(output) : plainView(output);
}

/** One line about progress: loss, metric, speed and time left. */
export function describeProgress(progress: TrainingProgress): string {
  const { epoch, epochCount, step, stepCount, loss, stepsPerSecond } = progress;
  const secondsLeft = stepsPerSecond > 0 ? Math.max(0, Number(stepCount - step)) / stepsPerSecond : undefined;
  return [
    `epoch ${epoch}/${epochCount}`,
    `loss ${loss.toFixed(4)}`,
    ...metricOf(progress),
    `${stepsPerSecond >= 10 ? Math.round(stepsPerSecond) : stepsPerSecond.toFixed(1)} steps/s`,
    ...(secondsLeft === undefined ? [] : [`${formatDuration(secondsLeft * 1_000)} left`]),
  ].join(" · ");
}

/** The number that people look at: accuracy of a classifier, perplexity of a language model, error of a regression. */
function metricOf({ validationAccuracy, metrics, validationLoss }: TrainingProgress): string[] {
  if (validationAccuracy !== undefined) return [`accuracy ${(validationAccuracy * 100).toFixed(1)} %`];
  for (const name of ["perplexity", "rmse"]) if (metrics[name] !== undefined) return [`${name} ${metrics[name].toFixed(3)}`];
  return validationLoss === undefined ? [] : [`validation loss ${validationLoss.toFixed(4)}`];
}

function barView(output: Output): ProgressView {
  const bar = new SingleBar({ format: "  {bar} {percentage} % · {text}", hideCursor: true, barsize: 24, clearOnComplete: false }, Presets.shades_classic);
  let started = false;
  return {
    update: (progress) => {
      const values = { text: describeProgress(progress) };
      if (!started) bar.start(Number(progress.stepCount), Number(progress.step), values);
      else bar.update(Number(progress.step), values);
      started = true;
    },
    note: (text) => {
      // The bar draws itself again below.
      output.write(`\r\u001b[K  ! ${text}\n`);
    },
    stop: () => {
      if (started) bar.stop();
    },
  };
}

function plainView(output: Output): ProgressView {
  let lastMs = 0;
  let last: TrainingProgress | undefined;
  let shown: TrainingProgress | undefined;
  const show = (progress: TrainingProgress): void => {
    const percent = progress.stepCount === 0n ? 0 : Math.floor((Number(progress.step) / Number(progress.stepCount)) * 100);
    output.write(`  ${String(percent).padStart(3)} % · ${describeProgress(progress)}\n`);
    shown = progress;
    lastMs = Date.now();
  };
  return {
    update: (progress) => {
      last = progress;
      if (Date.now() - lastMs >= PLAIN_LINE_MS) show(progress);
    },
    note: (text) => {
      output.write(`  ! ${text}\n`);
    },
    stop: () => {
      if (last !== undefined && last !== shown) show(last);
    },
  };
}
