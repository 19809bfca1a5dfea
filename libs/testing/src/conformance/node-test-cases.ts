// The ONNX backend node tests: one tiny model for each corner of each operator, with inputs and the outputs that the
// specification's reference implementation gives. Source: onnx/onnx, backend/test/data/node.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import { readModel, readTensorProto, signatureOf, type ModelSignature } from "@servable/onnx";
import type { Tensor } from "@servable/tensor";

/** One test of one operator. */
export interface NodeTestCase {
  /** "test_add_bcast". */
  readonly name: string;
  readonly modelPath: string;
  readonly dataDir: string;
}

/** What a case sends and what must come back. */
export interface NodeTestData {
  readonly signature: ModelSignature;
  readonly inputs: Readonly<Record<string, Tensor>>;
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** Unpacks the archive of the tests and lists them by name. */
export function unpackNodeTests(archive: string, folder: string): NodeTestCase[] {
  execFileSync("tar", ["xJf", archive, "-C", folder]);
  const root = join(folder, "node");
  return readdirSync(root)
    .sort()
    .map((name) => ({ name, modelPath: join(root, name, "model.onnx"), dataDir: join(root, name, "test_data_set_0") }))
    .filter(({ modelPath }) => existsSync(modelPath));
}

/**
 * Reads a case. Inputs and outputs stand in numbered files in the order of the graph's.
 *
 * @throws StatusError `MODEL_REFUSED` or `DATATYPE_MISMATCH` for what the protocol cannot carry: sequences, optionals, maps,
 * 8-bit floats, 4-bit integers; `MODEL_NOT_ONNX` for opsets older than any that is served
 */
export function readNodeTest({ modelPath, dataDir }: NodeTestCase): NodeTestData {
  const signature = signatureOf(readModel(readFileSync(modelPath)));
  const read = (role: "input" | "output", specs: ModelSignature["inputs"]): Record<string, Tensor> =>
    Object.fromEntries(specs.map(({ name }, index) => [name, readTensorProto(readFileSync(join(dataDir, `${role}_${index}.pb`))).tensor]));
  const inputCount = readdirSync(dataDir).filter((file) => file.startsWith("input_")).length;
  if (inputCount !== signature.inputs.length) throw new StatusError("MODEL_REFUSED", `the test feeds ${inputCount} of ${signature.inputs.length} inputs: an initialiser is overridden`);
  return { signature, inputs: read("input", signature.inputs), outputs: read("output", signature.outputs) };
}
