import { readFileSync, readdirSync } from "node:fs";

/** The kernel counts CPU time in hundredths of a second. */
const TICK_US = 10_000;

/** CPU time of a process so far, user and system, in microseconds. */
export function cpuUs(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name may hold blanks; the numbers begin behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, "utf8");
        return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[1]) === pid;
      } catch {
        // It ended while we looked.
        return false;
      }
    })
    .map(Number);
}

/** Memory that is in RAM, shared pages included, in MiB. */
export function residentMib(pid: number): number {
  return kib(readFileSync(`/proc/${pid}/status`, "utf8"), "VmRSS") / 1024;
}

/** Memory that would come back if the process ended, in MiB. */
export function privateDirtyMib(pid: number): number {
  return kib(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"), "Private_Dirty") / 1024;
}

function kib(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN);
}

