/** Whether tensors of one declared shape may be of another: -1 on either side fits any size. */
export function compatibleShapes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === -1 || b[axis] === -1 || size === b[axis]);
}
