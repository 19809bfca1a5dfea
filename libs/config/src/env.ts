import { StatusError } from "@servable/errors";

/** A source of settings: `process.env`, or a literal in tests. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Reads settings one by one; what cannot be read raises CONFIG_INVALID naming the variable. Empty counts as absent. */
export interface EnvReader {
  /** The text, or undefined. */
  optional(name: string): string | undefined;
  /** The text, or the default. */
  string(name: string, fallback: string): string;
  /** A whole number within the bounds. */
  int(name: string, fallback: number, bounds?: { min?: number; max?: number }): number;
  /** A port; 0 lets the system choose. */
  port(name: string, fallback: number): number;
  /** Bytes, written as `1048576`, `64KiB`, `16MiB` or `1GiB`. */
  bytes(name: string, fallback: number): number;
  /** Milliseconds, written as `250ms`, `10s` or `5m`. */
  durationMs(name: string, fallback: number): number;
  /** Words parted by commas. */
  list(name: string, fallback: readonly string[]): readonly string[];
  /** One of the words. */
  oneOf<const T extends string>(name: string, words: readonly T[], fallback: NoInfer<T>): T;
}

const BYTE_UNITS: Readonly<Record<string, number>> = { "": 1, B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A reader over environment variables. */
export function readEnv(env: Env): EnvReader {
  const text = (name: string): string | undefined => (env[name] === "" ? undefined : env[name]);
  const refuse = (name: string, value: string, want: string): never => {
    throw new StatusError("CONFIG_INVALID", `${name}="${value}" is not ${want}: correct or unset it`, { metadata: { variable: name } });
  };
  const int: EnvReader["int"] = (name, fallback, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) => {
    const value = text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    return Number.isInteger(number) && number >= min && number <= max ? number : refuse(name, value, `a whole number from ${min} to ${max}`);
  };
  const withUnit = (name: string, fallback: number, units: Readonly<Record<string, number>>, want: string): number => {
    const value = text(name);
    if (value === undefined) return fallback;
    const match = /^(\d+)\s*([A-Za-z]*)$/.exec(value);
    const unit = match === null ? undefined : units[match[2] ?? ""];
    return match === null || unit === undefined ? refuse(name, value, want) : Number(match[1]) * unit;
  };
  return {
    optional: text,
    string: (name, fallback) => text(name) ?? fallback,
    int,
    port: (name, fallback) => int(name, fallback, { min: 0, max: 65_535 }),
    bytes: (name, fallback) => withUnit(name, fallback, BYTE_UNITS, "a size such as 64MiB"),
    durationMs: (name, fallback) => withUnit(name, fallback, TIME_UNITS, "a duration such as 10s"),
    list: (name, fallback) => text(name)?.split(",").map((word) => word.trim()).filter((word) => word !== "") ?? fallback,
    oneOf: (name, words, fallback) => {
      const value = text(name);
      if (value === undefined) return fallback;
      return words.find((word) => word === value) ?? refuse(name, value, `one of ${words.join(", ")}`);
    },
  };
}
