import { GraphError } from "../graph-error.ts";
import type { Dimension, Graph, Value } from "../graph.ts";
import { op, ops } from "./op.ts";

const ints = (graph: Graph, values: readonly number[]): Value => graph.constant("INT64", [values.length], values.map(BigInt));

/**
 * ai.onnx::Reshape. A named dimension keeps its name: where it stands at the same place in x it is copied, one more is worked
 * out from what is left, others are looked up in `like`. -1 is worked out and gets no name.
 *
 * @param like values that have the named dimensions, besides x
 * @throws GraphError when sizes do not fit, or a named one is found nowhere
 * @example reshape(graph, x, ["batch", "tokens", 4, 32]); // x: [batch, tokens, 128]
 */
export function reshape(graph: Graph, x: Value, shape: readonly Dimension[], like: readonly Value[] = []): Value {
  const copied = shape.map((size, axis) => typeof size === "string" && x.shape[axis] === size);
  const open = shape.filter((size, axis) => size === -1 || (typeof size === "string" && copied[axis] !== true));
  if (open.length > 1) return reshapeBySources(graph, x, shape, [x, ...like]);
  const product = (sizes: readonly Dimension[]): number => sizes.reduce<number>((all, size) => (typeof size === "number" && size >= 0 ? all * size : all), 1);
  if (open.length === 0 && [...x.shape, ...shape].every((size) => typeof size === "number") && product(x.shape) !== product(shape)) throw new GraphError(`Reshape of [${x.shape.join()}] to [${shape.join()}]: the numbers of elements differ`);
  const target = ints(graph, shape.map((size, axis) => (typeof size === "number" ? size : copied[axis] === true ? 0 : -1)));
  const made = op(graph, "Reshape", [x, target], shape.includes(0) ? { allowzero: 1 } : {});
  return named(graph, made, shape);
}

/** The same with sizes that are found when the graph runs. */
function reshapeBySources(graph: Graph, x: Value, shape: readonly Dimension[], sources: readonly Value[]): Value {
  const sizes = shape.map((size): Value => {
    if (typeof size === "number") return ints(graph, [size]);
    const source = sources.find((value) => value.shape.includes(size));
    if (source === undefined) throw new GraphError(`Reshape of [${x.shape.join()}] to [${shape.join()}]: nothing tells the size of "${size}"; pass a value that has it as \`like\``);
    const axis = source.shape.indexOf(size);
    return op(graph, "Shape", [source], { start: axis, end: axis + 1 });
  });
  return named(graph, op(graph, "Reshape", [x, op(graph, "Concat", sizes, { axis: 0 })]), shape);
}

/** The last node's output with the sizes as the caller knows them. */
function named(graph: Graph, value: Value, shape: readonly Dimension[]): Value {
  return graph.restate(value, shape.map((size, axis) => (size === -1 ? (value.shape[axis] ?? size) : size)));
}

/** ai.onnx::Concat. */
export const concat = (graph: Graph, parts: readonly Value[], axis: number): Value => op(graph, "Concat", parts, { axis });

/** ai.onnx::Split into parts of the given sizes along an axis. */
export function split(graph: Graph, x: Value, sizes: readonly number[], axis = 0): Value[] {
  return ops(graph, "Split", [x, ints(graph, sizes)], { axis }, { outputCount: sizes.length });
}

/** ai.onnx::Transpose, by default with the axes turned round. */
export const transpose = (graph: Graph, x: Value, perm: readonly number[] = x.shape.map((_, axis) => x.shape.length - 1 - axis)): Value => op(graph, "Transpose", [x], { perm });

/** ai.onnx::Squeeze: axes of size 1 go. */
export const squeeze = (graph: Graph, x: Value, axes: readonly number[]): Value => op(graph, "Squeeze", [x, ints(graph, axes)]);
/** ai.onnx::Unsqueeze: axes of size 1 at these places of the result. */
export const unsqueeze = (graph: Graph, x: Value, axes: readonly number[]): Value => op(graph, "Unsqueeze", [x, ints(graph, axes)]);
/** ai.onnx::Flatten to a matrix: axes before `axis`, and the others. */
export const flatten = (graph: Graph, x: Value, axis = 1): Value => op(graph, "Flatten", [x], { axis });

/** One axis of a {@link slice}. */
export interface SliceRange {
  readonly axis: number;
  /** Negative ones count from the end. @default 0 */
  readonly start?: number;
  /** Before which it ends. @default the end */
  readonly end?: number;
  /** @default 1 */
  readonly step?: number;
}

const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** ai.onnx::Slice. @example slice(graph, x, [{ axis: 1, start: 0, end: 1 }]) */
export function slice(graph: Graph, x: Value, ranges: readonly SliceRange[]): Value {
  const operand = (of: (range: SliceRange) => number): Value => ints(graph, ranges.map(of));
  const stepped = ranges.some(({ step = 1 }) => step !== 1);
  const inputs = [x, operand(({ start, step = 1 }) => start ?? (step < 0 ? -1 : 0)), operand(({ end, step = 1 }) => end ?? (step < 0 ? -TO_THE_END : TO_THE_END)), operand(({ axis }) => axis)];
  return op(graph, "Slice", stepped ? [...inputs, operand(({ step = 1 }) => step)] : inputs);
}

/** How {@link pad} fills. */
export interface PadOptions {
  /** @default "constant" */
  readonly mode?: "constant" | "reflect" | "edge" | "wrap";
  /** What constant padding is filled with. @default 0 */
  readonly value?: number;
}

/** ai.onnx::Pad: sizes before each axis, then behind each; negative ones cut. */
export function pad(graph: Graph, x: Value, pads: readonly number[], { mode = "constant", value = 0 }: PadOptions = {}): Value {
  return op(graph, "Pad", mode === "constant" ? [x, ints(graph, pads), graph.constant(x.datatype, [], [value])] : [x, ints(graph, pads)], { mode });
}

/** ai.onnx::Expand to sizes that are known. */
export const expand = (graph: Graph, x: Value, sizes: readonly number[]): Value => op(graph, "Expand", [x, ints(graph, sizes)]);

/** ai.onnx::Expand to the shape of another value. */
export function expandLike(graph: Graph, x: Value, like: Value): Value {
  return op(graph, "Expand", [x, shapeOf(graph, like)]);
}

/** ai.onnx::Tile: each axis repeated. */
export const tile = (graph: Graph, x: Value, repeats: readonly number[]): Value => op(graph, "Tile", [x, ints(graph, repeats)]);

/** ai.onnx::Shape: sizes of the axes from `start` to before `end`, INT64. */
export const shapeOf = (graph: Graph, x: Value, start = 0, end = x.shape.length): Value => op(graph, "Shape", [x], { start, end });
/** ai.onnx::Size: the number of elements, INT64 scalar. */
export const sizeOf = (graph: Graph, x: Value): Value => op(graph, "Size", [x]);

/** ai.onnx::DepthToSpace. */
export const depthToSpace = (graph: Graph, x: Value, blocksize: number, mode: "DCR" | "CRD" = "DCR"): Value => op(graph, "DepthToSpace", [x], { blocksize, mode });
/** ai.onnx::SpaceToDepth. */
export const spaceToDepth = (graph: Graph, x: Value, blocksize: number): Value => op(graph, "SpaceToDepth", [x], { blocksize });
