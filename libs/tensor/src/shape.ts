import { StatusError } from "@servable/errors";

/** Elements no request may exceed: beyond it sizes no longer fit a message. */
export const ELEMENTS_MAX = 2 ** 31 - 1;

/**
 * Elements of a shape.
 *
 * @throws StatusError `SHAPE_MISMATCH` for a negative dimension or a product above {@link ELEMENTS_MAX}
 */
export function elementCount(shape: readonly number[], name = "tensor"): number {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new StatusError("SHAPE_MISMATCH", `${name}: dimension ${dimension} of [${shape.join(",")}] is not a whole number from 0 on`);
    }
    count *= dimension;
    if (count > ELEMENTS_MAX) throw new StatusError("SHAPE_MISMATCH", `${name}: shape [${shape.join(",")}] causes total element count to exceed maximum size of ${ELEMENTS_MAX}`);
  }
  return count;
}

/** Whether a concrete shape fits a specified one, in which -1 fits any size. */
export function fitsShape(shape: readonly number[], specified: readonly number[]): boolean {
  return shape.length === specified.length && specified.every((want, axis) => want === -1 || want === shape[axis]);
}
