import { readFileSync } from "node:fs";

const KIB = 1_024;

/** Resident bytes of a process as the kernel counts them; undefined where it does not say (other systems, an ended process). */
export function residentBytes(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kib === undefined ? undefined : Number(kib) * KIB;
  } catch {
    // The process may have ended between two looks.
    return undefined;
  }
}
