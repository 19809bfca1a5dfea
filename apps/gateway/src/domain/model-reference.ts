// The gateway routes by a few bytes at the top level of a message and never decodes tensors: fields that it does not need
// are skipped by their length. Source: protobuf encoding, https://protobuf.dev/programming-guides/encoding/

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { StatusError } from "@servable/errors";

/** What routing needs of a request. */
export interface ModelReference {
  readonly model: string;
  /** As the caller said it; empty = the default version. */
  readonly version: string;
}

/** What routing needs of a ModelInferRequest. */
export interface InferReference extends ModelReference {
  readonly id: string;
  /** The sequence that the request belongs to, if any. */
  readonly sequence: string | undefined;
}

const NAME_FIELD = 1;
const VERSION_FIELD = 2;
const ID_FIELD = 3;
const PARAMETERS_FIELD = 4;
const LOAD_NAME_FIELD = 2;

/** Name and version of every request that begins with `name = 1, version = 2`. @throws StatusError `MESSAGE_MALFORMED` */
export function peekModel(bytes: Uint8Array): ModelReference {
  const found = peek(bytes, [NAME_FIELD, VERSION_FIELD]);
  return { model: textOf(found[NAME_FIELD]), version: textOf(found[VERSION_FIELD]) };
}

/** Name, version, id and sequence of a ModelInferRequest. @throws StatusError `MESSAGE_MALFORMED` */
export function peekInfer(bytes: Uint8Array): InferReference {
  let [model, version, id] = ["", "", ""];
  let sequence: string | undefined;
  // This runs with every inference: one pass, nothing kept but what is asked for.
  scan(bytes, (field, value) => {
    if (field === NAME_FIELD) model = utf8(value);
    else if (field === VERSION_FIELD) version = utf8(value);
    else if (field === ID_FIELD) id = utf8(value);
    else if (field === PARAMETERS_FIELD) sequence ??= sequenceIn(value);
  });
  return { model, version, id, sequence };
}

/** The model of a load or unload request; KServe's dialect has the name in field 1. @throws StatusError `MESSAGE_MALFORMED` */
export function peekRepositoryModel(bytes: Uint8Array): string {
  const found = peek(bytes, [NAME_FIELD, LOAD_NAME_FIELD]);
  return textOf(found[LOAD_NAME_FIELD]) || textOf(found[NAME_FIELD]);
}

/** Whether a ModelStreamInferResponse carries an error (field 1). */
export function isStreamError(bytes: Uint8Array): boolean {
  return textOf(peek(bytes, [1])[1]) !== "";
}

/** How often fields stand at the top level of a message. @throws StatusError `MESSAGE_MALFORMED` */
export function countFields(bytes: Uint8Array, fields: readonly number[]): number {
  let count = 0;
  scan(bytes, (field) => {
    if (fields.includes(field)) count++;
  });
  return count;
}

function peek(bytes: Uint8Array, fields: readonly number[]): Record<number, Uint8Array[]> {
  const found: Record<number, Uint8Array[]> = {};
  scan(bytes, (field, value) => {
    if (fields.includes(field)) (found[field] ??= []).push(value);
  });
  return found;
}

/** Calls `visit` with every length-delimited field; all others are skipped. */
function scan(bytes: Uint8Array, visit: (field: number, value: Uint8Array) => void): void {
  try {
    const reader = new BinaryReader(bytes);
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (wireType === WireType.LengthDelimited) visit(field, reader.bytes());
      else reader.skip(wireType, field);
    }
  } catch (error) {
    throw new StatusError("MESSAGE_MALFORMED", "the request is no valid protobuf message of this method: check the client's contract", { cause: error });
  }
}

/** The value of a `sequence_id` entry of the parameters; 0 and "" mean none. */
function sequenceIn(entry: Uint8Array): string | undefined {
  const { 1: key, 2: value } = peek(entry, [1, 2]);
  if (textOf(key) !== "sequence_id" || value?.[0] === undefined) return undefined;
  const reader = new BinaryReader(value[0]);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 2 && wireType === WireType.Varint) {
      const number = String(reader.int64());
      return number === "0" ? undefined : number;
    }
    if (field === 3 && wireType === WireType.LengthDelimited) return reader.string() || undefined;
    reader.skip(wireType, field);
  }
  return undefined;
}

/** Of a field sent twice the last one counts. */
function textOf(values: readonly Uint8Array[] | undefined): string {
  const last = values?.at(-1);
  return last === undefined ? "" : utf8(last);
}

function utf8(bytes: Uint8Array): string {
  return bytes.length === 0 ? "" : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
