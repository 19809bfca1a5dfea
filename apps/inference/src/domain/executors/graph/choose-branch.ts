import type { InferRequest } from "../executor.ts";
import type { SplitterNode } from "./graph-node.ts";

/**
 * The branch of a splitter for a request. Requests of one key (a sequence, a request id, a parameter's value) always take the
 * same branch, by a hash of the key and the seed, on every replica; without a key chance decides.
 */
export function chooseBranch({ branches, by, seed }: SplitterNode, request: InferRequest, random: () => number): SplitterNode["branches"][number] {
  const key = keyOf(by, request);
  const total = branches.reduce((sum, { weight }) => sum + weight, 0);
  let left = (key === undefined ? random() : uniform(`${seed}\0${key}`)) * total;
  for (const branch of branches) {
    left -= branch.weight;
    if (left < 0) return branch;
  }
  return branches.findLast(({ weight }) => weight > 0) as SplitterNode["branches"][number];
}

function keyOf(by: SplitterNode["by"], { sequence, id, parameters }: InferRequest): string | undefined {
  // A sequence that changed its branch would find no state there.
  if (sequence !== undefined || by === "sequence_id") return sequence?.id;
  if (by === undefined) return undefined;
  if (by === "request_id") return id === "" ? undefined : id;
  const value = parameters.get(by.parameter);
  return value === undefined ? undefined : String(value);
}

/** FNV-1a with the finisher of MurmurHash3, as a number from 0 to below 1. */
function uniform(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
}
