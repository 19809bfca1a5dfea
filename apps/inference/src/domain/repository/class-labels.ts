import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";

const LABEL_BYTES_MAX = 16 * 1024 ** 2;

/**
 * The class names of the outputs that have a `label_filename`, one a line, from the version's files.
 *
 * @throws StatusError `FIELD_INVALID` when the file is not among them
 */
export async function readClassLabels({ output }: ModelConfig, folder: string): Promise<Map<string, readonly string[]>> {
  const labels = new Map<string, readonly string[]>();
  for (const [index, { name, labelFilename }] of output.entries()) {
    if (labelFilename === "") continue;
    const field = `output[${index}].label_filename`;
    if (labelFilename.startsWith("/") || labelFilename.split(/[/\\]/).includes("..")) throw invalid(field, `"${labelFilename}" must be a file of the version`);
    const path = join(folder, labelFilename);
    const size = await stat(path).then((info) => info.size, () => undefined);
    if (size === undefined) throw invalid(field, `the version has no file "${labelFilename}": upload it with the model`);
    if (size > LABEL_BYTES_MAX) throw invalid(field, `"${labelFilename}" has ${size} bytes, at most ${LABEL_BYTES_MAX} are read`);
    const lines = (await readFile(path, "utf8")).split(/\r?\n/);
    if (lines.at(-1) === "") lines.pop();
    labels.set(name, lines);
  }
  return labels;
}

function invalid(field: string, why: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field}: ${why}`, { metadata: { field } });
}
