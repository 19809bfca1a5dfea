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

/** Whole numbers between commas: "128,64". */
export function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber(1));
}

/** An option that may be given several times, or once with commas. */
export function collect(text: string, before: string[] = []): string[] {
  return [...before, ...text.split(",").map((part) => part.trim()).filter((part) => part !== "")];
}
