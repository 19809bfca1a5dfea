import type { ModelVersion, TensorSpec } from "@servable/contracts/registry/v1/model_version";

const INPUTS_SHOWN_MAX = 12;

/** A command line that calls a model: its inputs by name where a person can type them, a file where there are too many values. */
export function exampleCall(name: string, { signature }: Pick<ModelVersion, "signature">): string {
  const inputs = signature?.inputs ?? [];
  if (inputs.length === 0 || inputs.length > INPUTS_SHOWN_MAX || !inputs.every(isOneValue)) return `servable predict ${name} --input request.json   (inputs: servable models show)`;
  return ["servable predict", name, ...inputs.map((input) => quoted(`${input.name}=${input.datatype === "BYTES" ? "text" : "0"}`))].join(" ");
}

/** One value for each example: [-1] or [-1, 1]. */
function isOneValue({ shape }: TensorSpec): boolean {
  return shape.length > 0 && shape.slice(1).every((size) => size === 1n);
}

function quoted(word: string): string {
  return /^[\w=.:-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
