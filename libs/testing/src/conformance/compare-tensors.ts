import { elementsOf, isFloat, type ElementValue, type Tensor } from "@servable/tensor";

/** How far a float may be from the expected one. */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** The relative part is what the ONNX backend tests allow; a kernel may sum in another order. */
export const NODE_TEST_TOLERANCE: Tolerance = { relative: 1e-3, absolute: 1e-7 };

/** Where terms cancel, as in Fourier transforms, an error is measured by the largest value of the tensor. */
const CANCELLATION = 2e-6;

/** Halves have 11 and 8 bits of precision: neighbours differ by more than the tests' own tolerance. */
const HALF_TOLERANCE: Readonly<Record<string, Tolerance>> = { FP16: { relative: 2e-3, absolute: 1e-3 }, BF16: { relative: 1.6e-2, absolute: 1e-2 } };

/** Says how a tensor differs from the expected one; undefined when it does not. */
export function differenceOf(got: Tensor | undefined, want: Tensor, tolerance: Tolerance = NODE_TEST_TOLERANCE): string | undefined {
  if (got === undefined) return "is missing";
  if (got.datatype !== want.datatype) return `is ${got.datatype}, not ${want.datatype}`;
  if (got.shape.join() !== want.shape.join()) return `has the shape [${got.shape.join(",")}], not [${want.shape.join(",")}]`;
  const [ours, theirs] = [elementsOf(got), elementsOf(want)];
  const allowed = isFloat(want.datatype) ? scaled(HALF_TOLERANCE[want.datatype] ?? tolerance, theirs as number[]) : EXACT;
  const index = ours.findIndex((value, at) => !isClose(value, theirs[at] as ElementValue, allowed));
  return index === -1 ? undefined : `[${index}] is ${printed(ours[index])}, not ${printed(theirs[index])}`;
}

const EXACT: Tolerance = { relative: 0, absolute: 0 };

function scaled({ relative, absolute }: Tolerance, values: readonly number[]): Tolerance {
  const largest = values.reduce((max, value) => (Number.isFinite(value) ? Math.max(max, Math.abs(value)) : max), 0);
  return { relative, absolute: absolute + CANCELLATION * largest };
}

function isClose(got: ElementValue, want: ElementValue, { relative, absolute }: Tolerance): boolean {
  if (typeof got === "number" && typeof want === "number") {
    if (Object.is(got, want) || got === want) return true;
    return Math.abs(got - want) <= absolute + relative * Math.abs(want);
  }
  if (got instanceof Uint8Array && want instanceof Uint8Array) return Buffer.compare(got, want) === 0;
  return got === want;
}

function printed(value: ElementValue | undefined): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : String(value);
}
