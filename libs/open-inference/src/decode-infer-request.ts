import { StatusError } from "@servable/errors";
import type { InferParameter, InferParameters, TypedContents, WireInferRequest, WireInput, WireRequestedOutput } from "./infer-messages.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, WireError, WireReader } from "./wire-reader.ts";

const tag = (field: number, type: number): number => field * 8 + type;
const NO_PARAMETERS: InferParameters = new Map();

/**
 * Reads an encoded `inference.ModelInferRequest`. Raw tensors are views of the message's bytes, which are as aligned as the
 * message put them: copy before making typed arrays of them.
 *
 * @throws StatusError `MESSAGE_MALFORMED`
 */
export function decodeInferRequest(bytes: Uint8Array): WireInferRequest {
  try {
    return readRequest(new WireReader(bytes));
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    throw new StatusError("MESSAGE_MALFORMED", `the request is no valid inference.ModelInferRequest (${error.message}): check the client's contract`, { cause: error });
  }
}

function readRequest(reader: WireReader): WireInferRequest {
  let [modelName, modelVersion, id] = ["", "", ""];
  let parameters: Map<string, InferParameter> | undefined;
  const inputs: WireInput[] = [];
  const outputs: WireRequestedOutput[] = [];
  const rawInputContents: Uint8Array[] = [];
  while (reader.hasMore) {
    const field = reader.tag();
    switch (field) {
      case tag(1, LENGTH_DELIMITED):
        modelName = reader.string();
        break;
      case tag(2, LENGTH_DELIMITED):
        modelVersion = reader.string();
        break;
      case tag(3, LENGTH_DELIMITED):
        id = reader.string();
        break;
      case tag(4, LENGTH_DELIMITED):
        readParameter(reader.message(), (parameters ??= new Map<string, InferParameter>()));
        break;
      case tag(5, LENGTH_DELIMITED):
        inputs.push(readInput(reader.message()));
        break;
      case tag(6, LENGTH_DELIMITED):
        outputs.push(readOutput(reader.message()));
        break;
      case tag(7, LENGTH_DELIMITED):
        rawInputContents.push(reader.bytes());
        break;
      default:
        reader.skip(field);
    }
  }
  return { modelName, modelVersion, id, parameters: parameters ?? NO_PARAMETERS, inputs, outputs, rawInputContents };
}

function readInput(reader: WireReader): WireInput {
  let [name, datatype] = ["", ""];
  const shape: number[] = [];
  let parameters: Map<string, InferParameter> | undefined;
  let contents: TypedContents[] | undefined;
  while (reader.hasMore) {
    const field = reader.tag();
    switch (field) {
      case tag(1, LENGTH_DELIMITED):
        name = reader.string();
        break;
      case tag(2, LENGTH_DELIMITED):
        datatype = reader.string();
        break;
      case tag(3, LENGTH_DELIMITED):
        for (const packed = reader.message(); packed.hasMore; ) shape.push(packed.int64AsNumber());
        break;
      case tag(3, VARINT):
        shape.push(reader.int64AsNumber());
        break;
      case tag(4, LENGTH_DELIMITED):
        readParameter(reader.message(), (parameters ??= new Map<string, InferParameter>()));
        break;
      case tag(5, LENGTH_DELIMITED):
        contents = mergeContents(contents ?? [], reader.message());
        break;
      default:
        reader.skip(field);
    }
  }
  return { name, datatype, shape, parameters: parameters ?? NO_PARAMETERS, contents };
}

function readOutput(reader: WireReader): WireRequestedOutput {
  let name = "";
  let parameters: Map<string, InferParameter> | undefined;
  while (reader.hasMore) {
    const field = reader.tag();
    if (field === tag(1, LENGTH_DELIMITED)) name = reader.string();
    else if (field === tag(2, LENGTH_DELIMITED)) readParameter(reader.message(), (parameters ??= new Map<string, InferParameter>()));
    else reader.skip(field);
  }
  return { name, parameters: parameters ?? NO_PARAMETERS };
}

/** One entry of a `map<string, InferParameter>`. */
function readParameter(entry: WireReader, into: Map<string, InferParameter>): void {
  let key = "";
  let value: InferParameter | undefined;
  while (entry.hasMore) {
    const field = entry.tag();
    if (field === tag(1, LENGTH_DELIMITED)) key = entry.string();
    else if (field === tag(2, LENGTH_DELIMITED)) value = readValue(entry.message());
    else entry.skip(field);
  }
  // An entry without a value has a parameter without a choice, which says nothing.
  if (value !== undefined) into.set(key, value);
}

function readValue(reader: WireReader): InferParameter | undefined {
  let value: InferParameter | undefined;
  while (reader.hasMore) {
    const field = reader.tag();
    switch (field) {
      case tag(1, VARINT):
        value = { kind: "bool", value: reader.uint64() !== 0n };
        break;
      case tag(2, VARINT):
        value = { kind: "int64", value: reader.int64() };
        break;
      case tag(3, LENGTH_DELIMITED):
        value = { kind: "string", value: reader.string() };
        break;
      case tag(4, FIXED64):
        value = { kind: "double", value: reader.double() };
        break;
      case tag(5, VARINT):
        value = { kind: "uint64", value: reader.uint64() };
        break;
      default:
        reader.skip(field);
    }
  }
  return value;
}

type Value = TypedContents["values"][number];
const FIELDS: readonly { readonly field: TypedContents["field"]; readonly type: number; readonly read: (reader: WireReader) => Value }[] = [
  { field: "bool", type: VARINT, read: (reader) => reader.uint64() !== 0n },
  { field: "int", type: VARINT, read: (reader) => reader.uint32() | 0 },
  { field: "int64", type: VARINT, read: (reader) => reader.int64() },
  { field: "uint", type: VARINT, read: (reader) => reader.uint32() },
  { field: "uint64", type: VARINT, read: (reader) => reader.uint64() },
  { field: "fp32", type: FIXED32, read: (reader) => reader.float() },
  { field: "fp64", type: FIXED64, read: (reader) => reader.double() },
  { field: "bytes", type: LENGTH_DELIMITED, read: (reader) => reader.bytes() },
];

/** InferTensorContents: packed or not, in one piece or several. */
function mergeContents(contents: TypedContents[], reader: WireReader): TypedContents[] {
  const byField = new Map(contents.map(({ field, values }) => [field, [...values]]));
  while (reader.hasMore) {
    const number = reader.tag();
    const spec = FIELDS[(number >>> 3) - 1];
    const type = number & 7;
    if (spec === undefined || (type !== spec.type && type !== LENGTH_DELIMITED)) {
      reader.skip(number);
      continue;
    }
    let values = byField.get(spec.field);
    if (values === undefined) byField.set(spec.field, (values = []));
    if (type === spec.type) values.push(spec.read(reader));
    else for (const packed = reader.message(); packed.hasMore; ) values.push(spec.read(packed));
  }
  return [...byField].map(([field, values]) => ({ field, values }));
}
