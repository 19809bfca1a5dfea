// Lays the weights of a version out so that engines map them instead of copying them. Every large tensor becomes a file named
// by its SHA-256 in a folder that all versions share, hard-linked beside the model: equal tensors of different versions are
// one file, one page cache. A process of its own, since a model of a gigabyte is read and hashed here.
// argv: folder of the version, folder of the tensors. Answers one message over IPC and ends.

import { createHash, randomUUID } from "node:crypto";
import { closeSync, existsSync, linkSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema, externalDataOf, inlineBytes, isExternal, largeInitializers, moveToFile, readModel } from "@servable/onnx";

/** What came of it. */
export interface SharedWeights {
  readonly tensorCount: number;
  readonly bytes: number;
  /** Bytes of those that another version had brought already. */
  readonly knownBytes: number;
}

/** Smaller tensors stay in the model: they steer shapes, and a file costs a page. */
const TENSOR_BYTES_MIN = 64 * 1024;
/** Where the links stand, beside the model. */
const LINKS = ".tensors";

function shareWeights(folder: string, tensorDir: string): SharedWeights {
  const path = join(folder, "model.onnx");
  const model = readModel(readFileSync(path));
  const tensors = largeInitializers(model, TENSOR_BYTES_MIN);
  mkdirSync(tensorDir, { recursive: true });
  if (tensors.length > 0) mkdirSync(join(folder, LINKS));
  let bytesSum = 0;
  let knownBytes = 0;
  const emptied = new Set<string>();
  for (const tensor of tensors) {
    const external = isExternal(tensor) ? externalDataOf(tensor) : undefined;
    const bytes = external === undefined ? inlineBytes(tensor) : readSlice(join(folder, external.location), external.offsetBytes, external.lengthBytes);
    if (bytes === undefined) continue;
    if (external !== undefined) emptied.add(external.location);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const file = join(tensorDir, sha256);
    if (existsSync(file)) knownBytes += bytes.length;
    else writeWhole(file, bytes);
    const location = `${LINKS}/${sha256}`;
    if (!existsSync(join(folder, location))) linkSync(file, join(folder, location));
    moveToFile(tensor, location, bytes.length);
    bytesSum += bytes.length;
  }
  if (tensors.length === 0) return { tensorCount: 0, bytes: 0, knownBytes: 0 };
  writeWhole(path, toBinary(ModelProtoSchema, model));
  const needed = new Set((model.graph?.initializer ?? []).filter(isExternal).map((tensor) => externalDataOf(tensor)?.location));
  for (const location of emptied) if (!needed.has(location)) rmSync(join(folder, location));
  return { tensorCount: tensors.length, bytes: bytesSum, knownBytes };
}

/** Never into the file that is there: it is a link to bytes that others read. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.${process.pid}-${randomUUID()}`;
  writeFileSync(temporary, bytes, { flag: "wx" });
  renameSync(temporary, path);
}

function readSlice(path: string, offsetBytes: number, lengthBytes: number): Uint8Array {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(lengthBytes);
    for (let done = 0; done < lengthBytes; ) {
      const count = readSync(file, bytes, done, lengthBytes - done, offsetBytes + done);
      if (count === 0) throw new Error(`${path} ends before byte ${offsetBytes + lengthBytes}`);
      done += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

const [, , folder = "", tensorDir = ""] = process.argv;
process.send?.(shareWeights(folder, tensorDir), () => process.disconnect?.());
