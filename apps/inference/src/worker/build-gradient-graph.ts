// Builds the graph of Integrated Gradients of a version and writes it to a file. A process of its own: reading, importing and
// differentiating a model of a stranger takes a moment and may take a lot of memory, and nobody's requests shall wait for it.
// argv: the job as JSON. Answers one message over IPC and ends.

import { closeSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildIntegratedGradients, type IntegratedGradientsGraph } from "@servable/explain";
import { GraphError, readModel, type ExternalData } from "@servable/onnx";

/** What is to be built. */
export interface GradientGraphJob {
  /** The version's folder; its model is model.onnx. */
  readonly folder: string;
  /** The file to write. */
  readonly path: string;
  readonly output: string;
  /** Empty = the default. */
  readonly inputs: readonly string[];
  /** Undefined = as the signature says. */
  readonly batched?: boolean;
}

/** What came of it. */
export type GradientGraphAnswer = { readonly ok: true; readonly graph: Omit<IntegratedGradientsGraph, "bytes">; readonly bytes: number } | { readonly ok: false; readonly message: string };

function build({ folder, path, output, inputs, batched }: GradientGraphJob): GradientGraphAnswer {
  try {
    const model = readModel(readFileSync(join(folder, "model.onnx")));
    const { bytes, ...graph } = buildIntegratedGradients(model, { output, inputs, ...(batched === undefined ? {} : { batched }), readExternal: (data) => readExternal(folder, data) });
    writeFileSync(path, bytes);
    return { ok: true, graph, bytes: bytes.length };
  } catch (error) {
    // A file that cannot be read, a model too large for one message: whatever it is, it has no gradients.
    return { ok: false, message: error instanceof GraphError ? error.message : `its graph of gradients cannot be built: ${(error as Error).message}` };
  }
}

function readExternal(folder: string, { location, offsetBytes, lengthBytes }: ExternalData): Uint8Array {
  const file = openSync(join(folder, location), "r");
  try {
    const bytes = new Uint8Array(lengthBytes);
    for (let done = 0; done < lengthBytes; ) {
      const count = readSync(file, bytes, done, lengthBytes - done, offsetBytes + done);
      if (count === 0) throw new GraphError(`"${location}" ends early`);
      done += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

const job = JSON.parse(process.argv[2] ?? "{}") as GradientGraphJob;
process.send?.(build(job), () => process.disconnect?.());
