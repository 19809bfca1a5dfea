import { readFile } from "node:fs/promises";

/** Private memory of processes together, as Linux counts it; undefined on other systems, or when one of them is gone. */
export async function privateBytesOf(pids: readonly number[]): Promise<number | undefined> {
  try {
    const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/smaps_rollup`, "utf8")));
    return texts.reduce((total, text) => total + privateBytesIn(text), 0);
  } catch {
    // Not Linux, or the process has just ended: the estimate stays.
    return undefined;
  }
}

/** Pages that go with the process: what it shares with others (code, weights mapped from a file) stays without it too. */
export function privateBytesIn(smapsRollup: string): number {
  let kibibytes = 0;
  for (const [, value] of smapsRollup.matchAll(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm)) kibibytes += Number(value);
  return kibibytes * 1024;
}
