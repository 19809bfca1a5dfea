import { GraphError, type Dimension } from "../graph.ts";

/**
 * The shape of an elementwise result (numpy rules). A named dimension fits itself and 1.
 *
 * @throws GraphError when two dimensions do not fit
 */
export function broadcastShapes(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, index) => {
    const left = a[index - rank + a.length] ?? 1;
    const right = b[index - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new GraphError(`shapes [${a.join()}] and [${b.join()}] do not broadcast`);
  });
}
