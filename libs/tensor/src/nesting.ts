import { StatusError } from "@servable/errors";

/** JSON may not nest deeper than this; Triton's limit. */
export const NESTING_DEPTH_MAX = 100;

/** Flat row-major values as nested lists; shape [] gives the one value itself. */
export function nest<T>(values: readonly T[], shape: readonly number[]): unknown {
  if (shape.length === 0) return values[0];
  const [size = 0, ...rest] = shape;
  const stride = rest.reduce((product, dimension) => product * dimension, 1);
  return Array.from({ length: size }, (_, index) => nest(values.slice(index * stride, (index + 1) * stride), rest));
}

/**
 * Nested lists as flat values with their shape.
 *
 * @throws StatusError `SHAPE_MISMATCH` when lists of one level differ in length or nest too deep
 */
export function flatten(nested: unknown, name = "tensor"): { shape: number[]; values: unknown[] } {
  const shape: number[] = [];
  for (let level = nested; Array.isArray(level); level = level[0] as unknown) {
    shape.push(level.length);
    if (shape.length > NESTING_DEPTH_MAX) throw new StatusError("SHAPE_MISMATCH", `${name}: JSON nesting depth exceeds maximum allowed limit (${NESTING_DEPTH_MAX})`);
  }
  const values: unknown[] = [];
  const walk = (level: unknown, depth: number): void => {
    const want = shape[depth];
    if (want === undefined) {
      if (Array.isArray(level)) throw ragged(name);
      values.push(level);
      return;
    }
    if (!Array.isArray(level) || level.length !== want) throw ragged(name);
    for (const item of level) walk(item, depth + 1);
  };
  walk(nested, 0);
  return { shape, values };
}

function ragged(name: string): StatusError {
  return new StatusError("SHAPE_MISMATCH", `${name}: the nested lists are ragged: lists of one level must have one length`);
}
