import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CostEstimate } from "@servable/contracts/training/v1/training_job";

/** What a job would need, as one line a fact. */
export function renderEstimate(estimate: CostEstimate): string {
  const runMs = estimate.runDuration === undefined ? 0 : durationMs(estimate.runDuration);
  return [
    `${estimate.stepCount} steps of ${(estimate.secondsPerStep * 1_000).toFixed(2)} ms (${estimate.measuredStepCount} measured): about ${formatDuration(runMs)}`,
    `${estimate.trainableParameterCount} trained parameters, ${Math.round(Number(estimate.memoryBytes) / 1_024 ** 2)} MiB of memory`,
    ...(estimate.cost > 0 ? [`about ${estimate.cost.toFixed(4)} ${estimate.currency}`] : []),
  ].join("\n");
}

/** "4 s", "3 min 20 s", "2 h 05 min". */
export function formatDuration(ms: number): string {
  const seconds = Math.ceil(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${String(Math.floor((seconds % 3_600) / 60)).padStart(2, "0")} min`;
}
