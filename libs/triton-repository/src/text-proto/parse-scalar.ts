import { ScalarType, type DescEnum } from "@bufbuild/protobuf";
import type { StatusError } from "@servable/errors";
import { stringBytes, type TextToken } from "./text-tokens.ts";

/** What stands for one value: a token, with its sign and the strings that follow it. */
export interface ScalarText {
  readonly token: TextToken;
  readonly isNegative: boolean;
  /** Strings that stand next to it; they are one. */
  readonly more: readonly TextToken[];
}

const TYPE_NAMES: Readonly<Record<ScalarType, string>> = {
  [ScalarType.DOUBLE]: "a number", [ScalarType.FLOAT]: "a number", [ScalarType.BOOL]: "true or false", [ScalarType.STRING]: "a string in quotes", [ScalarType.BYTES]: "bytes in quotes",
  [ScalarType.INT32]: "an int32", [ScalarType.SINT32]: "an int32", [ScalarType.SFIXED32]: "an int32", [ScalarType.UINT32]: "a uint32", [ScalarType.FIXED32]: "a uint32",
  [ScalarType.INT64]: "an int64", [ScalarType.SINT64]: "an int64", [ScalarType.SFIXED64]: "an int64", [ScalarType.UINT64]: "a uint64", [ScalarType.FIXED64]: "a uint64",
};

/** Smallest and largest value of the whole-number types. */
const RANGES: Partial<Readonly<Record<ScalarType, readonly [bigint, bigint]>>> = Object.fromEntries([
  ...[ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32].map((type) => [type, [-(2n ** 31n), 2n ** 31n - 1n]] as const),
  ...[ScalarType.UINT32, ScalarType.FIXED32].map((type) => [type, [0n, 2n ** 32n - 1n]] as const),
  ...[ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64].map((type) => [type, [-(2n ** 63n), 2n ** 63n - 1n]] as const),
  ...[ScalarType.UINT64, ScalarType.FIXED64].map((type) => [type, [0n, 2n ** 64n - 1n]] as const),
]);

const FLOAT_MAX = 3.4028234663852886e38;

/**
 * The value of a scalar or enum field.
 *
 * @throws what `fail` makes of the complaint
 */
export function parseScalar(field: { readonly scalar?: ScalarType | undefined; readonly enum?: DescEnum | undefined }, text: ScalarText, fail: (what: string) => StatusError, source: string): unknown {
  const { token, isNegative, more } = text;
  const given = token.kind === "end" ? "the end of the text" : `${isNegative ? "-" : ""}${token.kind === "string" ? JSON.stringify(token.text) : token.text}`;
  if (field.enum !== undefined) return parseEnum(field.enum, text, given, fail);
  const type = field.scalar ?? ScalarType.STRING;
  const wrong = (): StatusError => fail(`expected ${TYPE_NAMES[type]}, not ${given}`);
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES: {
      if (token.kind !== "string" || isNegative) throw wrong();
      const bytes = Buffer.concat([token, ...more].map((part) => stringBytes(part, source)));
      if (type === ScalarType.BYTES) return new Uint8Array(bytes);
      try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        throw fail("the string is no UTF-8");
      }
    }
    case ScalarType.BOOL:
      if (isNegative) throw wrong();
      if (token.kind === "name" && ["true", "True", "t"].includes(token.text)) return true;
      if (token.kind === "name" && ["false", "False", "f"].includes(token.text)) return false;
      if (token.kind === "integer" && /^(0[xX])?0*[01]$/.test(token.text)) return token.text.endsWith("1");
      throw wrong();
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT: {
      const value = parseFloatText(token);
      if (value === undefined) throw wrong();
      const signed = isNegative ? -value : value;
      // As in C++: what f32 cannot hold becomes infinite.
      return type === ScalarType.DOUBLE || !Number.isFinite(signed) || Math.abs(signed) <= FLOAT_MAX ? (type === ScalarType.FLOAT ? Math.fround(signed) : signed) : Math.sign(signed) * Infinity;
    }
    default: {
      if (token.kind !== "integer") throw wrong();
      const value = isNegative ? -integerOf(token.text) : integerOf(token.text);
      const [min, max] = RANGES[type] ?? [0n, 0n];
      if (value < min || value > max) throw fail(`${given} is outside of ${TYPE_NAMES[type]}`);
      return is64Bit(type) ? value : Number(value);
    }
  }
}

/** What a value is that nobody gave. */
parseScalar.zero = (type: ScalarType): unknown => {
  if (type === ScalarType.STRING) return "";
  if (type === ScalarType.BYTES) return new Uint8Array();
  if (type === ScalarType.BOOL) return false;
  return is64Bit(type) ? 0n : 0;
};

function parseEnum(desc: DescEnum, { token, isNegative }: ScalarText, given: string, fail: (what: string) => StatusError): number {
  if (token.kind === "integer") {
    const value = isNegative ? -integerOf(token.text) : integerOf(token.text);
    if (value >= -(2n ** 31n) && value < 2n ** 31n && (desc.open || desc.value[Number(value)] !== undefined)) return Number(value);
  }
  const found = token.kind === "name" && !isNegative ? desc.values.find(({ name }) => name === token.text) : undefined;
  if (found === undefined) throw fail(`expected one of ${desc.values.map(({ name }) => name).join(", ")}, not ${given}`);
  return found.number;
}

function parseFloatText(token: TextToken): number | undefined {
  if (token.kind === "name") {
    const name = token.text.toLowerCase();
    return name === "inf" || name === "infinity" ? Infinity : name === "nan" ? NaN : undefined;
  }
  if (token.kind === "float") return Number(token.text.replace(/[fF]$/, ""));
  // Octal and hexadecimal are whole numbers only.
  return token.kind === "integer" && !/^0[0-9xX]/.test(token.text) ? Number(token.text) : undefined;
}

function integerOf(text: string): bigint {
  return /^0[0-7]+$/.test(text) ? BigInt(`0o${text.slice(1)}`) : BigInt(text);
}

function is64Bit(type: ScalarType): boolean {
  return [ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64, ScalarType.UINT64, ScalarType.FIXED64].includes(type);
}
