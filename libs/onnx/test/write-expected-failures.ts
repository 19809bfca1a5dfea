// Runs all ONNX node tests and writes those that fail to expected-failures.json, by reason. A case that onnxruntime fails with the
// original file too is its own limit; what is left is ours. Run after operators were added: npx node libs/onnx/test/write-expected-failures.ts

import { writeFileSync } from "node:fs";
import { sharedAsset, tempDir, unpackNodeTests } from "@servable/testing";
import { ARCHIVE, runImported, type Failure } from "./run-imported.ts";

const ORIGINAL_FAILS = "onnxruntime 1.30 refuses the original file too, or gives other numbers for it";

/** Why a case fails, in words for a reader. */
function reasonOf({ stage, message }: Failure, original: Failure | undefined): string {
  if (stage === "read" && message.includes("opset")) return "written in an opset before 7, which nobody exports any more";
  if (stage === "read" && message.includes("initialiser is overridden")) return "feeds an initialiser, which is a constant here";
  if (stage === "read") return "has 8-bit or 4-bit floats, 4-bit or 2-bit integers, sequences or optionals as inputs or outputs, which no tensor of ours carries";
  if (original !== undefined) return ORIGINAL_FAILS;
  if (/not known here/.test(message)) return /\((ai\.onnx\.ml|String|TfIdf)/.test(message) ? "operators of texts and trees are served, but have no gradients: they are not imported" : "an operator that is not imported";
  if (/\(If\)|Unsqueeze/.test(message)) return "the number of dimensions of a result depends on a value: every rank must be known while a graph is built";
  if (/\(Loop\)|\(Scan\)/.test(message)) return "a loop whose rounds only a run can count, or of opset 8: only loops of constant rounds are written out";
  return `${stage}: ${message}`;
}

using directory = tempDir();
const reasons = new Map<string, string[]>();
const cases = unpackNodeTests(sharedAsset(ARCHIVE) ?? "", directory.path);
for (const test of cases) {
  const failure = await runImported(test);
  if (failure === undefined) continue;
  const reason = reasonOf(failure, failure.stage === "read" ? undefined : await runImported(test, { original: true }));
  reasons.set(reason, [...(reasons.get(reason) ?? []), test.name]);
}
const sorted = Object.fromEntries([...reasons].sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(new URL("expected-failures.json", import.meta.url), `${JSON.stringify(sorted, undefined, 2)}\n`);
const failing = [...reasons.values()].reduce((sum, names) => sum + names.length, 0);
console.log(`${cases.length - failing} of ${cases.length} pass`);
for (const [reason, names] of reasons) console.log(`${names.length}  ${reason}`);
