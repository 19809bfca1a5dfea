import { StatusError } from "@servable/errors";

/** A piece of the text with its place; lines and columns count from 1. */
export interface TextToken {
  readonly kind: "name" | "integer" | "float" | "string" | "symbol" | "end";
  /** The characters as they stand; of a string without its quotes and escapes still in place. */
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** A place in the text. */
export type TextPlace = Pick<TextToken, "line" | "column">;

const SPACE_OR_COMMENT = /(?:[ \t\r\n\f\v]+|#[^\n]*)+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
// A number ends where neither a letter nor a digit follows: "12abc" is a mistake and not two tokens.
const FLOAT = /(?:\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)[fF]?(?![A-Za-z0-9_.])|\d+[fF](?![A-Za-z0-9_.])/y;
const INTEGER = /(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)(?![A-Za-z0-9_.])/y;
const STRING = /"((?:[^"\\\n]|\\[^\n])*)"|'((?:[^'\\\n]|\\[^\n])*)'/y;
const SYMBOL = /[{}<>[\]:;,.\/-]/y;

/** The tokens of a text, the last of them of kind "end". @throws StatusError `FIELD_INVALID` with line and column */
export function* textTokens(text: string, source: string): Generator<TextToken, void> {
  let offset = 0;
  let line = 1;
  let lineStart = 0;
  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = offset;
    return pattern.exec(text) ?? undefined;
  };
  while (offset < text.length) {
    const space = match(SPACE_OR_COMMENT);
    if (space !== undefined) {
      const end = offset + space[0].length;
      for (let at = text.indexOf("\n", offset); at !== -1 && at < end; at = text.indexOf("\n", at + 1)) {
        line += 1;
        lineStart = at + 1;
      }
      offset = end;
      continue;
    }
    const place = { line, column: offset - lineStart + 1 };
    const kinds = [["name", NAME], ["float", FLOAT], ["integer", INTEGER], ["string", STRING], ["symbol", SYMBOL]] as const;
    let token: TextToken | undefined;
    for (const [kind, pattern] of kinds) {
      const found = match(pattern);
      if (found === undefined) continue;
      token = { kind, text: kind === "string" ? (found[1] ?? found[2] ?? "") : found[0], ...place };
      offset += found[0].length;
      break;
    }
    if (token === undefined) {
      const rest = text.slice(offset, offset + 20).split("\n")[0] ?? "";
      throw textError(source, place, undefined, /^["']/.test(rest) ? "the string is not closed on its line" : `${JSON.stringify(rest)} cannot be read here`);
    }
    yield token;
  }
  yield { kind: "end", text: "", line, column: offset - lineStart + 1 };
}

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = { a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11, "?": 63, "\\": 92, "'": 39, '"': 34 };
const ESCAPE = /\\(?:([abfnrtv?\\'"])|([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/g;

/** The bytes that a string token stands for. @throws StatusError `FIELD_INVALID` for an escape that there is not */
export function stringBytes(token: TextToken, source: string): Uint8Array {
  const parts: Uint8Array[] = [];
  let last = 0;
  for (const found of token.text.matchAll(ESCAPE)) {
    const [whole, simple, octal, hex, short, long, unknown] = found;
    parts.push(Buffer.from(token.text.slice(last, found.index)));
    last = found.index + whole.length;
    const codePoint = short ?? long;
    if (unknown !== undefined) throw textError(source, token, undefined, `there is no escape "\\${unknown}" in strings`);
    if (codePoint !== undefined) {
      const value = Number.parseInt(codePoint, 16);
      if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) throw textError(source, token, undefined, `"${whole}" is no character`);
      parts.push(Buffer.from(String.fromCodePoint(value)));
    } else {
      const byte = simple !== undefined ? SIMPLE_ESCAPES[simple] ?? 0 : octal !== undefined ? Number.parseInt(octal, 8) : Number.parseInt(hex ?? "", 16);
      if (byte > 255) throw textError(source, token, undefined, `"${whole}" is no byte`);
      parts.push(Uint8Array.of(byte));
    }
  }
  parts.push(Buffer.from(token.text.slice(last)));
  return Buffer.concat(parts);
}

/** An error that names where in the text, and which field. */
export function textError(source: string, { line, column }: TextPlace, field: string | undefined, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${source}:${line}:${column}: ${field === undefined ? "" : `${field}: `}${what}`, { metadata: { field: field ?? "", line: String(line), column: String(column) } });
}
