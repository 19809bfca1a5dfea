import { InvalidArgumentError } from "commander";

/** A whole number from `min` on. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!Number.isSafeInteger(number) || number < min) throw new InvalidArgumentError(`It must be a whole number from ${min} on.`);
    return number;
  };
}

/** A finite number within bounds. */
export function numberWithin(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (text.trim() === "" || !(number >= min && number <= max)) throw new InvalidArgumentError(`It must be a number from ${min} to ${max}.`);
    return number;
  };
}

/** "mean", "median" or the number that a missing cell becomes. */
export function imputation(text: string): "mean" | "median" | number {
  if (text === "mean" || text === "median") return text;
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) throw new InvalidArgumentError("It must be mean, median or a number.");
  return number;
}

/** Whole numbers between commas: "128,64". */
export function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber(1));
}

/** An option that may be given several times, or once with commas. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(",").map((part) => part.trim()).filter((part) => part !== "")];
}

const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const SIZE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_024 ** 2, GiB: 1_024 ** 3 };

/** "90s", "30m", "2h" → milliseconds. */
export function durationMs(text: string): number {
  return withUnit(text, TIME_UNITS, "It must be a duration, e.g. 90s, 30m or 2h.");
}

/** "512MiB", "2GiB" → bytes. */
export function sizeBytes(text: string): number {
  return withUnit(text, SIZE_UNITS, "It must be a size, e.g. 512MiB or 2GiB.");
}

function withUnit(text: string, units: Readonly<Record<string, number>>, hint: string): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(text) ?? [];
  const factor = units[unit];
  if (digits === "" || factor === undefined) throw new InvalidArgumentError(hint);
  return Math.round(Number(digits) * factor);
}

/** A size of pictures, "64x64" or "28x28x1": height, width and channels. */
export function pictureSize(text: string): number[] {
  const lengths = text.split("x").map(wholeNumber(1));
  if (lengths.length < 2 || lengths.length > 3) throw new InvalidArgumentError("It must be HEIGHTxWIDTH, e.g. 64x64.");
  return lengths;
}
