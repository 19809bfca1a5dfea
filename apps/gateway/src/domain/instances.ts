// People write examples, models take tensors: the values of one input over all examples, one behind the other. An example
// is an object with a value for each input, or the bare value where the model has one input.

import { StatusError } from "@servable/errors";
import { elementCount, fitsShape, flatten, isDatatype, isFloat, tensorOf, type Datatype, type Tensor } from "@servable/tensor";

/** One input or output of a model. */
export interface TensorHeader {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 = any size. */
  readonly shape: readonly number[];
}

/** What an example is called in errors, e.g. "instances[2]". */
export type Label = (index: number) => string;

/** Headers out of a signature. */
export function headersOf(specs: readonly { name: string; datatype: string; shape: readonly bigint[] }[]): TensorHeader[] {
  return specs.map(({ name, datatype, shape }) => {
    if (!isDatatype(datatype)) throw new StatusError("UNIMPLEMENTED", `the model's ${name} has the type ${datatype}, which JSON cannot carry`);
    return { name, datatype, shape: shape.map(Number) };
  });
}

/** Whether the first dimension counts examples. A fixed 1 there is the batch of a model exported for one example. */
export function isBatched({ shape }: TensorHeader): boolean {
  return shape[0] === -1 || shape[0] === 1;
}

/** The shape of one example. */
export function rowShape(header: TensorHeader): readonly number[] {
  return isBatched(header) ? header.shape.slice(1) : header.shape;
}

/** A tensor for each input. @throws StatusError naming the example and the input */
export function tensorsOfInstances(headers: readonly TensorHeader[], instances: readonly unknown[], label: Label): Map<string, Tensor> {
  if (instances.length === 0) throw new StatusError("FIELD_INVALID", "instances is empty: send at least one example");
  const rows = instances.map((instance, index) => rowOf(headers, instance, label(index)));
  return new Map(
    headers.map((header) => {
      const tensors = rows.map((row, index) => rowTensor(header, row[header.name], `${label(index)}.${header.name}`));
      return [header.name, stack(header, tensors, label)];
    }),
  );
}

/** A tensor for each input out of whole columns: the values of all examples as they would stand in the tensor. */
export function tensorsOfColumns(headers: readonly TensorHeader[], inputs: unknown): Map<string, Tensor> {
  const columns = rowOf(headers, inputs, "inputs");
  return new Map(
    headers.map((header) => {
      const where = `inputs.${header.name}`;
      const { shape, values } = flatten(columns[header.name], where);
      const wanted = [...shape, ...Array<number>(Math.max(0, header.shape.length - shape.length)).fill(1)];
      if (!fitsShape(wanted, header.shape)) throw mismatch(where, shape, header.shape);
      return [header.name, tensorOf(header.datatype, wanted, values.map((value) => leaf(value, header.datatype, where)), where)];
    }),
  );
}

/** Whether a value is one example of this input, not a list of them. */
export function isOneExample(header: TensorHeader, value: unknown): boolean {
  if (!Array.isArray(value)) return true;
  return fitsShape(flatten(value, header.name).shape, rowShape(header));
}

function rowOf(headers: readonly TensorHeader[], instance: unknown, where: string): Readonly<Record<string, unknown>> {
  const [only] = headers;
  if (!isRow(instance)) {
    if (only !== undefined && headers.length === 1) return { [only.name]: instance };
    throw new StatusError("DATATYPE_MISMATCH", `${where} must be an object with the inputs ${headers.map(({ name }) => name).join(", ")}`);
  }
  const names = new Set(headers.map(({ name }) => name));
  for (const { name } of headers) {
    if (!(name in instance)) throw new StatusError("INPUT_MISSING", `${where} lacks the input "${name}": the model takes ${[...names].join(", ")}`, { metadata: { input: name } });
  }
  for (const name of Object.keys(instance)) {
    if (!names.has(name)) throw new StatusError("INPUT_UNEXPECTED", `${where} has "${name}", which the model does not know: it takes ${[...names].join(", ")}`, { metadata: { input: name } });
  }
  return instance;
}

function rowTensor(header: TensorHeader, value: unknown, where: string): Tensor {
  const wanted = rowShape(header);
  const { shape, values } = flatten(value, where);
  const single = shape.length === 0 && wanted.every((dimension) => dimension === 1 || dimension === -1);
  if (!single && !fitsShape(shape, wanted)) throw mismatch(where, shape, wanted);
  return tensorOf(header.datatype, single ? wanted.map(() => 1) : shape, values.map((each) => leaf(each, header.datatype, where)), where);
}

function stack(header: TensorHeader, rows: readonly Tensor[], label: Label): Tensor {
  const [first] = rows;
  if (first === undefined) throw new TypeError("at least one row");
  if (!isBatched(header) || header.shape[0] === 1) {
    if (rows.length > 1) throw new StatusError("SHAPE_MISMATCH", `the model takes one example a call, got ${rows.length}: its input ${header.name} has the shape [${header.shape.join(",")}]`);
    return isBatched(header) ? { ...first, shape: [1, ...first.shape] } : first;
  }
  const odd = rows.findIndex(({ shape }) => shape.join() !== first.shape.join());
  if (odd !== -1) {
    throw new StatusError("SHAPE_MISMATCH", `${label(odd)}.${header.name} has the shape [${rows[odd]?.shape.join(",") ?? ""}], ${label(0)}.${header.name} has [${first.shape.join(",")}]: examples of one call need one shape`);
  }
  elementCount([rows.length, ...first.shape], header.name);
  return { datatype: header.datatype, shape: [rows.length, ...first.shape], data: Buffer.concat(rows.map(({ data }) => data)) };
}

/** One value: null is "missing" where the datatype has a value for it, {"b64"} are bytes. */
function leaf(value: unknown, datatype: Datatype, where: string): unknown {
  if (value === null && isFloat(datatype)) return Number.NaN;
  if (datatype !== "BYTES") return value;
  if (value === null) return "";
  if (!isBase64(value)) return value;
  const bytes = Buffer.from(value.b64, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") !== value.b64.replace(/=+$/, "")) throw new StatusError("FIELD_INVALID", `${where}: b64 is no base64`);
  return bytes;
}

function isBase64(value: unknown): value is { readonly b64: string } {
  return typeof value === "object" && value !== null && "b64" in value && typeof value.b64 === "string" && Object.keys(value).length === 1;
}

function isRow(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isBase64(value);
}

function mismatch(where: string, got: readonly number[], want: readonly number[]): StatusError {
  const shown = (shape: readonly number[]): string => (shape.length === 0 ? "a single value" : `shape [${shape.join(",")}]`);
  return new StatusError("SHAPE_MISMATCH", `${where} has ${shown(got)}, the model takes ${shown(want)}${want.includes(-1) ? " (-1 fits any size)" : ""}`);
}
