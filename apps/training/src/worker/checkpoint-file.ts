// A checkpoint is one safetensors file: parameters, buffers, the optimiser's state, the best weights, and as its metadata the
// JSON of all counters. It becomes visible whole or not at all: written beside, flushed, renamed, and the folder flushed too.
// What the file system loses nevertheless (a torn write, a flipped bit) is found by the digest that the service recorded.

import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { StatusError } from "@servable/errors";
import type { Snapshot } from "@servable/trainer";
import { readSafetensors, writeSafetensors } from "@servable/weights";
import type { Tensor } from "@servable/tensor";
import type { RunRecord } from "../domain/run-record.ts";
import type { LoopState } from "./loop-state.ts";

/** Everything that a run goes on from. */
export interface Checkpoint {
  readonly snapshot: Snapshot;
  /** Best weights so far by name of snapshot tensors; undefined where none are kept. */
  readonly best: Snapshot["tensors"] | undefined;
  readonly loop: LoopState;
  /** What must be the same for the run to go on. */
  readonly record: RunRecord;
}

const METADATA_KEY = "servable.checkpoint";
const FORMAT = 1;
const BEST = "best/";

/** Writes a checkpoint so that a crash at any moment leaves the old file or the new one. @returns digest and bytes */
export function writeCheckpoint(path: string, { snapshot, best, loop, record }: Checkpoint): { sha256: string; sizeBytes: number } {
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of snapshot.tensors) tensors.set(name, toTensor(tensor));
  for (const [name, tensor] of best ?? []) tensors.set(`${BEST}${name}`, toTensor(tensor));
  const metadata = { [METADATA_KEY]: JSON.stringify({ format: FORMAT, trainer: snapshot.state, loop, record }) };
  const temporary = `${path}.tmp`;
  const file = openSync(temporary, "w");
  const hash = createHash("sha256");
  let sizeBytes = 0;
  try {
    for (const piece of writeSafetensors({ tensors, metadata })) {
      hash.update(piece);
      for (let written = 0; written < piece.length; ) written += writeSync(file, piece, written);
      sizeBytes += piece.length;
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  flushFolder(dirname(path));
  return { sha256: hash.digest("hex"), sizeBytes };
}

/** Reads a checkpoint. @throws StatusError `CHECKPOINT_INCOMPATIBLE` when its bytes are not those of the digest, or not a checkpoint of this release */
export function readCheckpoint(path: string, sha256?: string): Checkpoint {
  const bytes = readBytes(path);
  if (sha256 !== undefined && createHash("sha256").update(bytes).digest("hex") !== sha256) throw damaged("its bytes are not those that were written");
  const { tensors, metadata } = readSafetensors(bytes);
  const head = JSON.parse(metadata[METADATA_KEY] ?? "{}") as { format?: number; trainer?: Snapshot["state"]; loop?: LoopState; record?: RunRecord };
  if (head.format !== FORMAT || head.trainer === undefined || head.loop === undefined || head.record === undefined) throw damaged(`it is of format ${head.format ?? "none"} and this release reads ${FORMAT}`);
  const all = [...tensors].map(([name, tensor]) => [name, fromTensor(tensor)] as const);
  const best = all.filter(([name]) => name.startsWith(BEST)).map(([name, tensor]) => [name.slice(BEST.length), tensor] as const);
  return {
    snapshot: { tensors: new Map(all.filter(([name]) => !name.startsWith(BEST))), state: head.trainer },
    best: best.length === 0 ? undefined : new Map(best),
    loop: head.loop,
    record: head.record,
  };
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw damaged(`it cannot be read (${error instanceof Error ? error.message : String(error)})`);
  }
}

function damaged(why: string): StatusError {
  return new StatusError("CHECKPOINT_INCOMPATIBLE", `the checkpoint cannot be used: ${why}`);
}

/** A name is on the disk only when its folder is. */
function flushFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function toTensor({ shape, data }: { readonly shape: readonly number[]; readonly data: Float32Array }): Tensor {
  return { datatype: "FP32", shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

/** Copied where the file's bytes do not lie on a multiple of four. */
function fromTensor({ shape, data }: Tensor): { shape: readonly number[]; data: Float32Array } {
  const aligned = data.byteOffset % 4 === 0 ? data : data.slice();
  return { shape, data: new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4) };
}
