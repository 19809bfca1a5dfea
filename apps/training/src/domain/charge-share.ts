import { fadedUsage } from "@servable/scheduling";
import { USAGE_HALF_LIFE_MS } from "./job-queue.ts";
import type { TrainingStore } from "./training-store.ts";

/** Adds a running time to what a project used lately. */
export async function chargeShare(store: TrainingStore, project: string, runMs: number, nowMs: number): Promise<void> {
  await store.transact(async (transaction) => {
    const before = (await transaction.shares.list()).find((share) => share.project === project);
    const faded = before === undefined ? 0 : fadedUsage(before.usageMs, nowMs - before.atMs, USAGE_HALF_LIFE_MS);
    await transaction.shares.set(project, faded + runMs, nowMs);
  });
}
