/** Digits after which every f32 is told apart. */
const DIGITS_MAX = 9;

/**
 * The shortest decimal that is this f32: columns of numbers are kept as f32, and a class that is a number is to be called as
 * the file calls it ("0.1", not "0.10000000149011612").
 */
export function f32Text(value: number): string {
  if (Number.isInteger(value)) return String(value);
  for (let digits = 1; digits < DIGITS_MAX; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(Number(value.toPrecision(DIGITS_MAX)));
}
