import { GraphError } from "../graph-error.ts";
import { isUnknown, type Dimension } from "../graph.ts";

/**
 * The shape of an elementwise result (numpy rules). A named dimension fits itself and 1; an unknown one fits anything.
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
    if (isUnknown(left) || isUnknown(right)) return joined(left, right);
    throw new GraphError(`shapes [${a.join()}] and [${b.join()}] do not broadcast`);
  });
}

/**
 * What two sizes broadcast to when at least one is unknown. A number beside an unknown size is the result, since that one is
 * either the same or 1; two unknown ones are named by both, in one order: broadcasting is commutative and idempotent.
 */
function joined(left: Dimension, right: Dimension): Dimension {
  if (typeof left === "number") return left;
  if (typeof right === "number") return right;
  const parts = new Set([left, right].flatMap((name) => name.replace(/^\?/, "").split("|")));
  return `?${[...parts].sort().join("|")}`;
}
