// Gradients of picking are adding back. They are ScatterElements(add), never ScatterND(add): onnxruntime runs the latter on
// several threads and loses updates when indices repeat.

import { GraphError, cast, gemm, intAttribute, textAttribute, type Graph, type Value } from "@servable/onnx";
import { scatterFlat } from "./scatter-flat.ts";
import { inputOf, ints, operands, reshapeTo, sizeList, sizesOf, zerosLike, type Rule } from "./rule.ts";

/** Picking and placing of elements. */
export const INDEXING: Readonly<Record<string, Rule>> = {
  /** Rows of g added up where they came from; the axis of a table, e.g. of embeddings. */
  Gather: (context) => {
    const { graph, node, upstream, needed } = context;
    const [data, indices] = [inputOf(context, 0), inputOf(context, 1)];
    if (needed[0] !== true) return [];
    const rank = data.shape.length;
    const stated = intAttribute(node, "axis", 0);
    const axis = stated < 0 ? stated + rank : stated;
    if (axis === 0 && isSmallTable(data)) return [byOneHot(graph, data, indices, upstream)];
    const shape = data.shape.map((size, at) => (at === axis ? "?picked" : size));
    const rows = reshapeTo(graph, upstream, sizeList(graph, axis === 0 ? [] : sizesOf(graph, data, 0, axis), [-1], axis === rank - 1 ? [] : sizesOf(graph, data, axis + 1)), shape);
    const line = reshapeTo(graph, indices, ints(graph, data.shape.map((_, at) => (at === axis ? -1 : 1))), data.shape.map((_, at) => (at === axis ? "?picked" : 1)));
    const places = graph.node("Expand", [line, graph.node("Shape", [rows], { datatype: "INT64", shape: [rank] })], { datatype: indices.datatype, shape });
    return [scatter(graph, zerosLike(graph, data), places, rows, axis, "add")];
  },
  /** g added up where it came from */
  GatherElements: (context) => {
    const { graph, node, upstream } = context;
    return [scatter(graph, zerosLike(graph, inputOf(context, 0)), inputOf(context, 1), upstream, intAttribute(node, "axis", 0), "add")];
  },
  /** The same with indices of several axes, by the places that the same picking gives. */
  GatherND: (context) => {
    const { graph, node, upstream } = context;
    const [data, indices] = [inputOf(context, 0), inputOf(context, 1)];
    return [scatterFlat(graph, upstream, flatIndices(graph, data, indices, intAttribute(node, "batch_dims", 0)), data)];
  },
  /** At the indices: data gets none where it was overwritten, updates get what is there. */
  ScatterElements: (context) => {
    const { graph, node, upstream, needed } = context;
    const [indices, updates] = [inputOf(context, 1), inputOf(context, 2)];
    const axis = intAttribute(node, "axis", 0);
    const reduction = textAttribute(node, "reduction", "none");
    if (reduction !== "none" && reduction !== "add") throw new GraphError(`reduction ${reduction} has no gradient`);
    const data = (): Value => (reduction === "add" ? upstream : scatter(graph, upstream, indices, zerosLike(graph, updates), axis));
    return [needed[0] === true ? data() : undefined, undefined, needed[2] === true ? graph.node("GatherElements", [upstream, indices], { datatype: updates.datatype, shape: updates.shape }, { axis }) : undefined];
  },
  /** As ScatterElements, without a reduction. */
  ScatterND: (context) => {
    const { graph, node, upstream, needed } = context;
    const [indices, updates] = [inputOf(context, 1), inputOf(context, 2)];
    if (textAttribute(node, "reduction", "none") !== "none") throw new GraphError("onnxruntime loses updates of ScatterND with a reduction on several threads, so it has no gradient: ScatterElements with flat indices does the same");
    return [
      needed[0] === true ? graph.node("ScatterND", [upstream, indices, zerosLike(graph, updates)], { datatype: upstream.datatype, shape: upstream.shape }) : undefined,
      undefined,
      needed[2] === true ? graph.node("GatherND", [upstream, indices], { datatype: updates.datatype, shape: updates.shape }) : undefined,
    ];
  },
  /** g at the indices of the largest */
  TopK: (context) => {
    const { graph, node, upstream } = context;
    const { a, y } = operands(context);
    const indices = graph.optionalOutput(node, 1, { datatype: "INT64", shape: y.shape });
    return [scatter(graph, zerosLike(graph, a), indices, upstream, intAttribute(node, "axis", -1))];
  },
};

/** Rows up to which a product with one-hot indices is cheaper than adding row by row: see TABLE_ROWS_MIN of parameter-gradients.ts. */
const ONE_HOT_ROWS_MAX = 32;

function isSmallTable({ datatype, shape: [rows, width, ...more] }: Value): boolean {
  return datatype === "FP32" && typeof rows === "number" && rows <= ONE_HOT_ROWS_MAX && typeof width === "number" && more.length === 0;
}

/** onehot(indices)ᵀ·g: [rows, width] */
function byOneHot(graph: Graph, table: Value, indices: Value, g: Value): Value {
  const [rows, width] = table.shape as [number, number];
  const line = reshapeTo(graph, cast(graph, indices, "INT64"), ints(graph, [-1]), ["?picked"]);
  const chosen = graph.node("OneHot", [line, graph.constant("INT64", [], [BigInt(rows)]), graph.constant("FP32", [2], [0, 1])], { datatype: "FP32", shape: ["?picked", rows] }, { axis: -1 });
  return gemm(graph, chosen, reshapeTo(graph, g, ints(graph, [-1, width]), ["?picked", width]), { transA: true });
}

function scatter(graph: Graph, data: Value, indices: Value, updates: Value, axis: number, reduction = "none"): Value {
  return graph.node("ScatterElements", [data, indices, updates], { datatype: data.datatype, shape: data.shape }, { axis, reduction });
}

/** Row-major places of the elements that GatherND picks: [indices…, what they pick]. */
function flatIndices(graph: Graph, data: Value, indices: Value, batchDims: number): Value {
  const depth = indices.shape.at(-1);
  if (typeof depth !== "number") throw new GraphError("indices of a length that varies have no gradient");
  // All places as numbers, then the same GatherND over them: whoever picked them gives them back.
  return graph.node("GatherND", [places(graph, data), indices], { datatype: "INT64", shape: [...indices.shape.slice(0, -1), ...data.shape.slice(batchDims + depth)] }, { batch_dims: batchDims });
}

/** 0, 1, 2, … in the shape of a value: what an operator that moves elements does with them says where each came from. */
export function places(graph: Graph, like: Value): Value {
  const count = graph.node("Size", [like], { datatype: "INT64", shape: [] });
  const [zero, one] = [graph.constant("INT64", [], [0n]), graph.constant("INT64", [], [1n])];
  const range = graph.node("Range", [zero, count, one], { datatype: "INT64", shape: ["?places"] });
  return reshapeTo(graph, range, sizesOf(graph, like), like.shape);
}
