// Protobuf's text format, as `config.pbtxt` files are written in. The format is loose where people type (separators are
// optional, messages take {} or <>, colons may be left out before them) and strict where they mistype: a name that the schema
// does not know is an error, since a setting that is silently ignored costs somebody an afternoon.
// Source: https://protobuf.dev/reference/protobuf/textformat-spec/

import { type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { reflect, type ReflectMap, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { parseScalar } from "./parse-scalar.ts";
import { textError, textTokens, type TextToken } from "./text-tokens.ts";

/** How deep messages may nest. */
const DEPTH_MAX = 100;

/** Names the text in errors. */
export interface ParseTextProtoOptions {
  /** What errors call the text. @default "text" */
  readonly source?: string;
}

/**
 * Reads a message in protobuf's text format.
 *
 * @throws StatusError `FIELD_INVALID`, "source:line:column: field: what is wrong"
 * @example parseTextProto(ModelConfigSchema, 'name: "m" max_batch_size: 8', { source: "config.pbtxt" })
 */
export function parseTextProto<Desc extends DescMessage>(schema: Desc, text: string, { source = "text" }: ParseTextProtoOptions = {}): MessageShape<Desc> {
  const message = reflect(schema);
  const parser = new Parser(text.replace(/^\uFEFF/, ""), source);
  parser.parseFields(message, "", undefined, 0);
  return message.message as MessageShape<Desc>;
}

/** One token ahead, never back. */
class Parser {
  readonly #tokens: Generator<TextToken, void>;
  readonly #source: string;
  #next: TextToken;

  constructor(text: string, source: string) {
    this.#tokens = textTokens(text, source);
    this.#source = source;
    this.#next = { kind: "end", text: "", line: 1, column: 1 };
    this.#take();
  }

  /** Fields up to `close`, which is taken too; undefined = up to the end of the text. */
  parseFields(message: ReflectMessage, path: string, close: string | undefined, depth: number): void {
    const seen = new Set<DescField>();
    for (;;) {
      const token = this.#next;
      if (token.kind === "end" && close === undefined) return;
      if (token.kind === "end") throw textError(this.#source, token, path, `"${close}" is missing at the end`);
      if (close !== undefined && this.#takeSymbol(close)) return;
      this.#parseField(message, path, seen, depth);
      if (!this.#takeSymbol(";")) this.#takeSymbol(",");
    }
  }

  #parseField(message: ReflectMessage, parent: string, seen: Set<DescField>, depth: number): void {
    const token = this.#take();
    if (token.kind === "symbol" && token.text === "[") throw textError(this.#source, token, parent || undefined, "extensions and Any are not supported here");
    if (token.kind !== "name") throw textError(this.#source, token, parent || undefined, `expected the name of a field, not ${shown(token)}`);
    const path = parent === "" ? token.text : `${parent}.${token.text}`;
    const field = message.fields.find(({ name }) => name === token.text);
    if (field === undefined) throw textError(this.#source, token, path, `there is no such field in ${message.desc.name}${suggestion(token.text, message.fields)}`);
    const repeated = field.fieldKind === "list" || field.fieldKind === "map";
    if (!repeated && seen.has(field)) throw textError(this.#source, token, path, "is given twice");
    const other = field.oneof && message.oneofCase(field.oneof);
    if (other !== undefined && other !== field) throw textError(this.#source, token, path, `excludes ${other.name}, which is given too`);
    seen.add(field);
    const colon = this.#takeSymbol(":");
    const isMessage = this.#next.kind === "symbol" && (this.#next.text === "{" || this.#next.text === "<");
    const isList = this.#next.kind === "symbol" && this.#next.text === "[";
    if (!colon && !(isMessage || (isList && (field.message !== undefined || field.fieldKind === "map")))) throw textError(this.#source, this.#next, path, `":" is missing before ${shown(this.#next)}`);
    if (!isList) return this.#parseValue(message, field, path, depth);
    if (!repeated) throw textError(this.#source, this.#next, path, "takes one value, not a list");
    this.#take();
    if (this.#takeSymbol("]")) return;
    do this.#parseValue(message, field, path, depth);
    while (this.#takeSymbol(","));
    if (!this.#takeSymbol("]")) throw textError(this.#source, this.#next, path, `expected "," or "]" in the list, not ${shown(this.#next)}`);
  }

  #parseValue(message: ReflectMessage, field: DescField, path: string, depth: number): void {
    switch (field.fieldKind) {
      case "scalar":
      case "enum":
        return message.set(field, this.#parseScalar(field, path));
      case "message":
        return message.set(field, this.#parseMessage(field.message, path, depth));
      case "list": {
        const list = message.get(field);
        list.add(field.listKind === "message" ? this.#parseMessage(field.message, path, depth) : this.#parseScalar(field, path));
        return;
      }
      case "map":
        return this.#parseEntry(message.get(field), field, path, depth);
    }
  }

  #parseMessage(schema: DescMessage, path: string, depth: number): ReflectMessage {
    const close = this.#open(path, depth);
    const message = reflect(schema);
    this.parseFields(message, path, close, depth + 1);
    return message;
  }

  /** An entry of a map is a message of two fields, each of which may be left out. */
  #parseEntry(map: ReflectMap, field: DescField & { fieldKind: "map" }, path: string, depth: number): void {
    const close = this.#open(path, depth);
    let key: unknown;
    let value: unknown;
    while (!this.#takeSymbol(close)) {
      const token = this.#take();
      const isKey = token.kind === "name" && token.text === "key";
      if (!isKey && !(token.kind === "name" && token.text === "value")) throw textError(this.#source, token, path, `an entry has "key" and "value", not ${shown(token)}`);
      if ((isKey ? key : value) !== undefined) throw textError(this.#source, token, `${path}.${token.text}`, "is given twice");
      const colon = this.#takeSymbol(":");
      if (isKey) {
        if (!colon) throw textError(this.#source, this.#next, `${path}.key`, `":" is missing before ${shown(this.#next)}`);
        key = this.#parseScalar({ scalar: field.mapKey }, `${path}.key`);
      } else if (field.mapKind === "message") {
        value = this.#parseMessage(field.message, `${path}.value`, depth + 1);
      } else {
        if (!colon) throw textError(this.#source, this.#next, `${path}.value`, `":" is missing before ${shown(this.#next)}`);
        value = this.#parseScalar(field, `${path}.value`);
      }
      if (!this.#takeSymbol(";")) this.#takeSymbol(",");
    }
    map.set(key ?? parseScalar.zero(field.mapKey), value ?? (field.mapKind === "message" ? reflect(field.message) : field.mapKind === "enum" ? 0 : parseScalar.zero(field.scalar)));
  }

  #parseScalar(field: Parameters<typeof parseScalar>[0], path: string): unknown {
    const first = this.#take();
    const isNegative = first.kind === "symbol" && first.text === "-";
    const token = isNegative ? this.#take() : first;
    const more: TextToken[] = [];
    while (token.kind === "string" && this.#next.kind === "string") more.push(this.#take());
    return parseScalar(field, { token, isNegative, more }, (what) => textError(this.#source, first, path, what), this.#source);
  }

  #open(path: string, depth: number): string {
    const token = this.#take();
    if (token.kind !== "symbol" || (token.text !== "{" && token.text !== "<")) throw textError(this.#source, token, path, `expected "{", not ${shown(token)}`);
    if (depth >= DEPTH_MAX) throw textError(this.#source, token, path, `messages nest deeper than ${DEPTH_MAX}`);
    return token.text === "{" ? "}" : ">";
  }

  #take(): TextToken {
    const token = this.#next;
    const next = this.#tokens.next();
    if (next.done !== true) this.#next = next.value;
    return token;
  }

  #takeSymbol(text: string): boolean {
    if (this.#next.kind !== "symbol" || this.#next.text !== text) return false;
    this.#take();
    return true;
  }
}

function shown(token: TextToken): string {
  return token.kind === "end" ? "the end of the text" : `"${token.text.slice(0, 40)}"`;
}

/** A field whose name differs in little, for those who mistyped. */
function suggestion(name: string, fields: readonly DescField[]): string {
  const plain = (text: string): string => text.toLowerCase().replaceAll("_", "").replace(/s$/, "");
  const near = fields.find((field) => plain(field.name) === plain(name) || field.jsonName === name);
  return near === undefined ? `: it has ${fields.map((field) => field.name).join(", ")}` : `: did you mean ${near.name}?`;
}
