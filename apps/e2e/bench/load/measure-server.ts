import { cpuUs } from "./process-cost.ts";
import { generateLoad, type Load, type LoadResult } from "./load-generator.ts";

/** A load's result with what it cost each process. */
export interface Measured extends LoadResult {
  /** CPU microseconds a request, by the name of the process. */
  readonly cpuUs: Readonly<Record<string, number>>;
}

/** Rounds of one measurement; the median of each number counts. */
const ROUNDS = 3;
const WARM_UP_SECONDS = 1;

/** Warms a server up, loads it in several rounds and answers the round in the middle by rate. */
export async function measureServer(load: Load, processes: Readonly<Record<string, () => readonly number[]>>, rounds = ROUNDS): Promise<Measured> {
  await generateLoad({ ...load, seconds: WARM_UP_SECONDS });
  const all: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    const pids = Object.entries(processes).map(([name, list]) => [name, list()] as const);
    const before = pids.map(([, list]) => sum(list));
    const result = await generateLoad(load);
    const cpu = Object.fromEntries(pids.map(([name, list], index) => [name, (sum(list) - (before[index] ?? 0)) / result.count]));
    all.push({ ...result, cpuUs: cpu });
  }
  all.sort((a, b) => a.perSecond - b.perSecond);
  return all[Math.floor(all.length / 2)] as Measured;
}

function sum(pids: readonly number[]): number {
  return pids.reduce((total, pid) => total + cpuUs(pid), 0);
}

/** One row of a printed table. */
export function rowOf(name: string, { perSecond, p50Ms, p99Ms, failed, cpuUs }: Measured, baseline?: Measured): string {
  const costs = Object.entries(cpuUs).map(([process, us]) => `${process} ${us.toFixed(1)}`);
  const ratio = baseline === undefined ? "" : ` = ${(perSecond / baseline.perSecond).toFixed(2)} ×`;
  return `  ${name.padEnd(46)} ${perSecond.toFixed(0).padStart(7)}/s${ratio.padEnd(9)} p50 ${p50Ms.toFixed(3)} p99 ${p99Ms.toFixed(2)} ms · CPU µs: ${costs.join(", ")}${failed > 0 ? ` · ${failed} FAILED` : ""}`;
}
