// The classification extension: instead of its values an output answers its highest ones as texts, "value:index[:label]".

import { StatusError } from "@servable/errors";
import { elementCount, elementsOf, encodeBytesElements, type Tensor } from "@servable/tensor";

/** Digits behind the point that C's `%f` prints; clients compare texts. */
const FRACTION_DIGITS = 6;
/** From here on toFixed() changes to exponents, which `%f` never does. */
const TO_FIXED_MAX = 1e21;

/** Elements of an output that are sorted for one caller. */
const CLASSIFIED_ELEMENTS_MAX = 1_000_000;

/** How an output is to be classified. */
export interface ClassificationOptions {
  /** Classes per answer; more than there are means all. */
  readonly count: number;
  /** Whether the first dimension counts examples. */
  readonly batched: boolean;
  /** Names of the classes by index; those that lack one are answered without. */
  readonly labels?: readonly string[] | undefined;
}

/**
 * The highest values of an output: BYTES of shape [batch, k], or [k] for models that do not batch. Equal values come in
 * the order of their indexes, not-a-number last.
 *
 * @throws StatusError `FIELD_INVALID` for a count below 1 or more elements than are sorted, `DATATYPE_MISMATCH` for outputs that are no numbers
 */
export function classify(output: Tensor, { count, batched, labels = [] }: ClassificationOptions, name = "output"): Tensor {
  if (!Number.isSafeInteger(count) || count < 1) throw new StatusError("FIELD_INVALID", `${name}: classification must be a whole number from 1 on, got ${count}`, { metadata: { field: "classification" } });
  if (output.datatype === "BYTES" || output.datatype === "BOOL") {
    throw new StatusError("DATATYPE_MISMATCH", `class result not available for output due to unsupported type '${output.datatype}': '${name}' has no order`, { metadata: { output: name } });
  }
  const elements = elementCount(output.shape, name);
  if (elements > CLASSIFIED_ELEMENTS_MAX) throw new StatusError("FIELD_INVALID", `classification output tensor too large: '${name}' has ${elements} elements, at most ${CLASSIFIED_ELEMENTS_MAX} are sorted`, { metadata: { output: name } });
  const values = elementsOf(output, name) as readonly (number | bigint)[];
  const rows = batched ? (output.shape[0] ?? 1) : 1;
  const classes = batched ? elementCount(output.shape.slice(1)) : values.length;
  const k = Math.min(count, classes);
  const print = output.datatype.startsWith("FP") || output.datatype === "BF16" ? (value: number | bigint) => fixed(Number(value)) : String;

  const texts: Uint8Array[] = [];
  for (let row = 0; row < rows; row += 1) {
    const scores = values.slice(row * classes, (row + 1) * classes);
    for (const index of highest(scores, k)) {
      const label = labels[index];
      texts.push(Buffer.from(`${print(scores[index] ?? 0)}:${index}${label === undefined || label === "" ? "" : `:${label}`}`));
    }
  }
  return { datatype: "BYTES", shape: batched ? [rows, k] : [k], data: encodeBytesElements(texts) };
}

/** The names in a label file: one a line; the line's number is the class. */
export function parseLabels(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** Indexes of the k highest values, best first. */
function highest(scores: readonly (number | bigint)[], k: number): number[] {
  return scores
    .map((score, index) => ({ score, index }))
    .sort((a, b) => compare(b.score, a.score) || a.index - b.index)
    .slice(0, k)
    .map(({ index }) => index);
}

function compare(a: number | bigint, b: number | bigint): number {
  const [left, right] = [isNotANumber(a), isNotANumber(b)];
  if (left || right) return Number(right) - Number(left);
  return a < b ? -1 : a > b ? 1 : 0;
}

/** C's `%f`. */
function fixed(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return `-${(0).toFixed(FRACTION_DIGITS)}`;
  if (Math.abs(value) >= TO_FIXED_MAX) return `${BigInt(value)}.${"0".repeat(FRACTION_DIGITS)}`;
  // C rounds a tie to the even digit, toFixed() away from zero.
  const exact = value.toFixed(FRACTION_DIGITS + 1);
  const toEven = /[02468]5$/.test(exact) && Number(exact) === value;
  return toEven ? exact.slice(0, -1) : value.toFixed(FRACTION_DIGITS);
}

function isNotANumber(value: number | bigint): boolean {
  return typeof value === "number" && Number.isNaN(value);
}
