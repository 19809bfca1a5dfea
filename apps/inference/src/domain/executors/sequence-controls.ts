import { StatusError } from "@servable/errors";
import type { EngineInput } from "@servable/runtime";
import { elementBytes, encodeBytesElements, tensorOf } from "@servable/tensor";
import type { SequencePlace } from "./executor.ts";
import { zerosOf, type ControlInput } from "../config/sequence-settings.ts";

/**
 * A control input for the rows of a batch, one element each; undefined = a row that is not ready, all of whose signals are
 * false and whose id is zero.
 *
 * @throws StatusError `FIELD_INVALID` when the model wants a number and the id is a text, or does not fit
 */
export function controlTensor({ input, kind, falseTrue }: ControlInput, rows: readonly (SequencePlace | undefined)[], isBatched: boolean): EngineInput {
  const { name, datatype } = input;
  const shape = input.shape.map((_, axis) => (isBatched && axis === 0 ? rows.length : 1));
  const data = rows.map((place) => {
    if (kind === "id") return place === undefined ? zerosOf(datatype, [1]) : idBytes(input, place);
    const [no, yes] = falseTrue ?? [new Uint8Array(), new Uint8Array()];
    return place !== undefined && (kind === "ready" || place[kind]) ? yes : no;
  });
  return { name, datatype, shape, data };
}

function idBytes({ name, datatype }: ControlInput["input"], { id, numericId }: SequencePlace): Uint8Array {
  if (datatype === "BYTES") return encodeBytesElements([Buffer.from(id)]);
  if (numericId === undefined) throw new StatusError("FIELD_INVALID", `sequence_id is the text "${id.slice(0, 60)}": this model's "${name}" takes ${datatype} ids`, { metadata: { field: "parameters.sequence_id" } });
  const bits = 8 * (elementBytes(datatype) ?? 8);
  const max = datatype.startsWith("U") ? 2n ** BigInt(bits) - 1n : 2n ** BigInt(bits - 1) - 1n;
  if (numericId < 0n && datatype.startsWith("U") || numericId > max) throw new StatusError("FIELD_INVALID", `sequence_id ${numericId} does not fit the ${datatype} that this model's "${name}" takes`, { metadata: { field: "parameters.sequence_id" } });
  return tensorOf(datatype, [1], [numericId], name).data;
}
