// JSON without loss. Numbers beyond 2^53 (INT64, UINT64) would be rounded by JSON.parse, and JSON.stringify refuses bigint,
// so digits are read as they stand in the text and elements are written as ready JSON tokens, joined by shape.

import { StatusError } from "@servable/errors";
import { elementsOf, type Tensor } from "@servable/tensor";
import { checkNesting } from "./json-scan.ts";

/** JSON.parse's reviver gets the text of each number (ECMAScript "JSON.parse source text access"). */
type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/** Digits of the longest 64-bit integer, with its sign. Reading millions of digits takes seconds, and no datatype holds them. */
const INTEGER_DIGITS_MAX = 20;

/** Parses JSON; whole numbers that a double cannot hold become bigint. @throws StatusError `JSON_MALFORMED` */
export function parseLossless(body: Uint8Array): unknown {
  checkNesting(body);
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
  try {
    // The reviver costs several times the parsing itself: only texts with long whole numbers pay, not those with long fractions.
    if (!hasLongInteger(body)) return JSON.parse(text);
    return (JSON.parse as (text: string, reviver: Reviver) => unknown)(text, (_, value, { source }) =>
      typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined && source.length <= INTEGER_DIGITS_MAX && /^-?\d+$/.test(source) ? BigInt(source) : value,
    );
  } catch (error) {
    throw new StatusError("JSON_MALFORMED", `the body is no valid JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Every whole number of fewer digits is exact as a double. */
const EXACT_DIGITS = 15;

/** Whether more digits than that stand in a row that is no fraction; a text inside quotes may count too. */
function hasLongInteger(body: Uint8Array): boolean {
  let digits = 0;
  let isFraction = false;
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0;
    if (byte >= 0x30 && byte <= 0x39) {
      digits += 1;
      if (digits > EXACT_DIGITS && !isFraction) return true;
    } else {
      digits = 0;
      isFraction = byte === 0x2e;
    }
  }
  return false;
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** How bytes that are no UTF-8 text become JSON. */
export type BytesForm = "refuse" | "base64";

/**
 * The elements of a tensor as JSON tokens, row-major. Not-a-number becomes null; infinities become ±1e999, which is valid
 * JSON and reads as an infinity in JavaScript and Python.
 *
 * @throws StatusError `FIELD_INVALID` for BYTES that are no text, where they are refused
 */
export function jsonTokens(tensor: Tensor, name: string, bytesForm: BytesForm): string[] {
  const elements = elementsOf(tensor, name);
  switch (tensor.datatype) {
    case "BYTES":
      return elements.map((element) => bytesToken(element as Uint8Array, name, bytesForm));
    case "FP32":
      return elements.map((element) => floatToken(element as number, shortestSingle));
    case "FP64":
    case "FP16":
    case "BF16":
      return elements.map((element) => floatToken(element as number, String));
    default:
      return elements.map(String);
  }
}

/** Tokens as nested JSON lists; shape [] gives the one token. */
export function nestTokens(tokens: readonly string[], shape: readonly number[]): string {
  if (shape.length === 0) return tokens[0] ?? "null";
  if (shape.length === 1) return `[${tokens.join(",")}]`;
  const [size = 0, ...rest] = shape;
  const stride = rest.reduce((product, dimension) => product * dimension, 1);
  return `[${Array.from({ length: size }, (_, index) => nestTokens(tokens.slice(index * stride, (index + 1) * stride), rest)).join(",")}]`;
}

function bytesToken(element: Uint8Array, name: string, form: BytesForm): string {
  try {
    return JSON.stringify(UTF8.decode(element));
  } catch (error) {
    if (form === "base64") return JSON.stringify({ b64: Buffer.from(element).toString("base64") });
    throw new StatusError("FIELD_INVALID", `${name} holds bytes that are no UTF-8 text: ask for it with "binary_data": true`, { cause: error });
  }
}

function floatToken(value: number, print: (value: number) => string): string {
  if (Number.isNaN(value)) return "null";
  if (!Number.isFinite(value)) return value > 0 ? "1e999" : "-1e999";
  return Object.is(value, -0) ? "-0.0" : print(value);
}

/** The shortest decimal that reads back as the same FP32: 0.1 instead of 0.10000000149011612. */
export function shortestSingle(value: number): string {
  if (Number.isInteger(value)) return String(value);
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}
