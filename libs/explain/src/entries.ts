// Gradients need numbers that vary smoothly. A picture's pixels do; a word's number does not, but the row of a table that it
// picks does. So the path of Integrated Gradients begins at an "entry": the input itself, or the first real value made of it.
// Source: Sundararajan, Taly & Yan, Axiomatic Attribution for Deep Networks (2017), section 6.4 (embeddings of text).

import { isFloat } from "@servable/tensor";
import { signatureOf, type ModelProto, type TensorSpec } from "@servable/onnx";

/** Where the path of an input enters the graph. */
export interface Entry {
  readonly input: TensorSpec;
  /** real: at the input; embedded: at the rows that a Gather picks; cast: at the Cast to real numbers. */
  readonly kind: "real" | "embedded" | "cast";
  /** The value that the path takes the place of. */
  readonly value: string;
  /** Rows of the table, where there is one. */
  readonly rows: number;
}

/** All entries of a model, one for each input that has one. */
export function entriesOf(model: ModelProto): Entry[] {
  return signatureOf(model).inputs.flatMap((input): Entry[] => {
    if (isFloat(input.datatype)) return [{ input, kind: "real", value: input.name, rows: 0 }];
    return embeddingEntry(model, input) ?? [];
  });
}

/**
 * The inputs to explain when nobody says which: all real ones; else the one that picks from the largest table, because
 * positions, segments and masks say how to read and not what is written.
 */
export function defaultEntries(entries: readonly Entry[]): Entry[] {
  const real = entries.filter(({ kind }) => kind === "real");
  if (real.length > 0) return real;
  const embedded = entries.filter(({ kind }) => kind === "embedded");
  const largest = Math.max(...embedded.map(({ rows }) => rows));
  if (embedded.length > 0) return embedded.filter(({ rows }) => rows === largest).slice(0, 1);
  return [...entries];
}

function embeddingEntry(model: ModelProto, input: TensorSpec): Entry[] | undefined {
  const nodes = model.graph?.node ?? [];
  // The input under other names: casts between whole numbers change nothing.
  const names = new Set([input.name]);
  for (const { opType, input: operands, output, attribute } of nodes) {
    const to = Number(attribute.find(({ name }) => name === "to")?.i ?? 0n);
    if ((opType === "Identity" || (opType === "Cast" && (to === 6 || to === 7))) && names.has(operands[0] ?? "") && output[0] !== undefined) names.add(output[0]);
  }
  const tables = new Map(model.graph?.initializer.map(({ name, dims }) => [name, Number(dims[0] ?? 0n)]));
  const gather = nodes.find(({ opType, input: [table = "", indices = ""], attribute }) => opType === "Gather" && tables.has(table) && names.has(indices) && attribute.every(({ name, i }) => name !== "axis" || i === 0n));
  if (gather !== undefined) return [{ input, kind: "embedded", value: gather.output[0] ?? "", rows: tables.get(gather.input[0] ?? "") ?? 0 }];
  const cast = nodes.find(({ opType, input: [operand = ""], attribute }) => opType === "Cast" && names.has(operand) && [1, 10, 11].includes(Number(attribute.find(({ name }) => name === "to")?.i ?? 0n)));
  return cast === undefined ? undefined : [{ input, kind: "cast", value: cast.output[0] ?? "", rows: 0 }];
}
