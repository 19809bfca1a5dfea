import type { ColumnKind } from "../records.ts";
import { shown } from "./malformed.ts";
import type { Cell } from "./row-source.ts";

/** Texts that say yes or no. */
const BOOLEAN_WORDS = new Set(["true", "false", "yes", "no", "y", "n", "t", "f", "on", "off"]);

const ISO = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** The number of a cell that f32, in which training and serving compute, can hold; NaN = it is none. */
export function numberOf(cell: Cell): number {
  if (typeof cell === "number") return Number.isFinite(Math.fround(cell)) ? cell : NaN;
  if (typeof cell !== "string") return NaN;
  const first = cell.charCodeAt(0);
  // Number() also reads "", "0x1f" and "Infinity".
  if (!((first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46)) return NaN;
  if (first === 48 && cell.length > 1 && /^0[xob]/i.test(cell)) return NaN;
  const value = Number(cell);
  return Number.isFinite(Math.fround(value)) ? value : NaN;
}

/** Milliseconds since 1970 of an ISO 8601 date, UTC where no zone stands; NaN = it is none. */
export function momentOf(cell: Cell): number {
  if (cell instanceof Date) return cell.getTime();
  if (typeof cell !== "string" || cell.length < 10 || cell.charCodeAt(4) !== 45) return NaN;
  const match = ISO.exec(cell);
  if (match === null) return NaN;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "0", zone = "Z"] = match;
  // Date.UTC turns the 30th of February into the 1st of March.
  if (!(Number(day) >= 1 && Number(day) <= daysOf(Number(year), Number(month))) || Number(hour) > 24 || Number(minute) > 59 || Number(second) > 60) return NaN;
  const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
  const offset = zone === "Z" ? 0 : (zone.startsWith("-") ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2)));
  return date + ((Number(hour) * 60 + Number(minute) - offset) * 60 + Number(second)) * 1000 + Math.floor(Number(`0.${fraction}`) * 1000);
}

/** Days of a month, 1 to 12; 0 of one that does not exist. */
function daysOf(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month >= 1 && month <= 12 ? (month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31) : 0;
}

/** A cell as a text. */
export function textOf(cell: Exclude<Cell, undefined>): string {
  if (cell instanceof Date) return cell.toISOString();
  return typeof cell === "string" ? cell : String(cell);
}

/** Whether a text says yes or no. */
export function isBooleanWord(text: string): boolean {
  return text.length <= 5 && BOOLEAN_WORDS.has(text.toLowerCase());
}

/** What is wrong with a cell of a column of a kind; undefined = nothing. NaN from files of numbers counts as missing before. */
export function problemOf(cell: Cell, kind: ColumnKind | undefined): string | undefined {
  if (cell === undefined) return undefined;
  if (typeof cell === "number" && !Number.isFinite(cell)) return `${cell} is no finite number`;
  switch (kind) {
    case "numeric":
      return Number.isNaN(numberOf(cell)) ? `${shown(textOf(cell))} is no number that f32 holds, and the column is to be numeric` : undefined;
    case "datetime":
      return Number.isNaN(momentOf(cell)) ? `${shown(textOf(cell))} is no ISO 8601 date, and the column is to hold dates` : undefined;
    case "boolean": {
      const text = textOf(cell);
      return isBooleanWord(text) || text === "0" || text === "1" ? undefined : `${shown(text)} is neither yes nor no, and the column is to be boolean`;
    }
    default:
      return undefined;
  }
}
