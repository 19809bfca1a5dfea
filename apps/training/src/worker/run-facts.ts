// What decides the bits of a result, beside the data.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";
import { StatusError } from "@servable/errors";
import type { RunRecord } from "../domain/run-record.ts";
import packageJson from "../../package.json" with { type: "json" };

/** Vector extensions by which onnxruntime chooses its kernels. */
const EXTENSIONS = ["avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm", "sve"];

/** Versions of what computes. */
export function versions(): Record<string, string> {
  return { servable: packageJson.version, onnxruntime: ort.env.versions.node ?? ort.env.versions.common, node: process.versions.node };
}

/** Architecture and vector extensions, e.g. "x64 avx2 fma"; the extensions are known on Linux only. */
export function instructionSet(): string {
  let flags = "";
  try {
    flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  } catch {
    // Other systems have no such file: the architecture alone must do.
  }
  const known = new Set(flags.split(/\s+/));
  return [process.arch, ...EXTENSIONS.filter((name) => known.has(name))].join(" ");
}

/** "sha256:…" over rows of the parts. */
export function splitDigest(...parts: readonly Uint32Array[]): string {
  const hash = createHash("sha256");
  for (const rows of parts) hash.update(`${rows.length}\n`).update(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
  return `sha256:${hash.digest("hex")}`;
}

/** "sha256:…" over names and bytes of weights, by name. */
export function weightsDigest(weights: ReadonlyMap<string, Float32Array>): string {
  const hash = createHash("sha256");
  for (const [name, data] of [...weights].sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(`${name} ${data.length}\n`).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return `sha256:${hash.digest("hex")}`;
}

/** Refuses to go on where other bits would come out. @throws StatusError `CHECKPOINT_INCOMPATIBLE` naming what is different */
export function checkSameRun(checkpoint: RunRecord, now: RunRecord): void {
  const facts = (record: RunRecord): Record<string, string> => ({
    "training graph": record.graphDigest,
    onnxruntime: record.versions["onnxruntime"] ?? "",
    servable: record.versions["servable"] ?? "",
    "instruction set": record.instructionSet,
    "thread count": String(record.threadCount),
    "data set": record.datasetDigest,
    split: record.splitDigest,
    "base model": record.baseModelDigest,
    seed: String(record.seed),
  });
  const [then, here] = [facts(checkpoint), facts(now)];
  const different = Object.keys(then).filter((name) => then[name] !== here[name]);
  if (different.length === 0) return;
  throw new StatusError("CHECKPOINT_INCOMPATIBLE", `the checkpoint of step ${checkpoint.stepCount} cannot be gone on from without other results: ${different.map((name) => `${name} was ${then[name]} and is ${here[name]}`).join("; ")}. Start another job, or bring back what it began with`);
}
