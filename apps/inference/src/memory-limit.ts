import { readFileSync } from "node:fs";
import { totalmem } from "node:os";

/** The rest is for this process, for what requests carry and for the system's cache of files. */
const BUDGET_FRACTION = 0.8;
/** Limits of a container: cgroup v2, then v1. Unlimited ones read "max" or a number beyond all memory. */
const CGROUP_FILES = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/** What models of one replica may take when nobody says: a fraction of what container or machine has, shared by `replicaCount` replicas. */
export function defaultMemoryBudgetBytes(replicaCount: number): number {
  return Math.floor((BUDGET_FRACTION * Math.min(totalmem(), ...CGROUP_FILES.map(limitIn))) / replicaCount);
}

function limitIn(path: string): number {
  try {
    const bytes = Number(readFileSync(path, "utf8"));
    return bytes > 0 ? bytes : Infinity;
  } catch {
    // No such file outside a container, or on another system: there is no limit to know.
    return Infinity;
  }
}
