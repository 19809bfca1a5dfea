import type { ModelVersion, TensorSpec } from "@servable/contracts/registry/v1/model_version";

/** What a version takes and gives, one tensor a line. */
export function signatureLines({ signature }: ModelVersion): string {
  const line = (kind: string, { name, datatype, shape, dimensionNames }: TensorSpec): string => `  ${kind} ${name}: ${datatype} [${shape.map((size, axis) => (size === -1n ? dimensionNames[axis] || "?" : size)).join(", ")}]`;
  return [...(signature?.inputs ?? []).map((spec) => line("input ", spec)), ...(signature?.outputs ?? []).map((spec) => line("output", spec))].join("\n");
}
