import { ELEMENT_TYPES, GraphError, add, cast, greater, softmax, sub, where, type Value } from "@servable/onnx";
import { batchedMatMul, permute, reshapeBehind, scalar, sizeOf, times, unsqueeze } from "../nodes.ts";
import type { Scope } from "../scope.ts";
import { dropout } from "./dropout.ts";
import { positionsOf } from "./positions.ts";
import { rotate, type RotaryTable } from "./rotary.ts";

/** Added to the scores of what may not be seen: its weight is 0 in f32, and a row where nothing may be seen is no NaN. */
const UNSEEN = -1e9;

/** Settings of an attention over projected queries, keys and values. */
export interface AttentionOptions {
  readonly heads: number;
  /** Heads of keys and values, each shared by heads/keyValueHeads queries. @default heads */
  readonly keyValueHeads?: number;
  /** Added to the scores [batch, heads, queries, keys], broadcast: see {@link causalMask} and {@link paddingMask}. */
  readonly masks?: readonly Value[];
  /** Turns queries and keys by their positions. */
  readonly rotary?: RotaryTable;
  /** Dropout of the weights. @default 0 */
  readonly dropout?: number;
}

/**
 * Scaled dot-product attention of several heads: softmax(q·kᵀ/√size + masks)·v.
 *
 * query: [batch, queries, heads·size], key and value: [batch, keys, keyValueHeads·size] → [batch, queries, heads·size]. It has
 * no parameters: projections are {@link linear} layers around it. Source: Vaswani et al., Attention Is All You Need (2017);
 * shared keys and values: Ainslie et al., GQA (2023).
 */
export function attention(nn: Scope, query: Value, key: Value, value: Value, { heads, keyValueHeads = heads, masks = [], rotary, dropout: rate = 0 }: AttentionOptions): Value {
  const { graph } = nn;
  const width = sizeOf(query, -1);
  if (width % heads !== 0 || heads % keyValueHeads !== 0) throw new GraphError(`attention of width ${width} with ${heads} heads and ${keyValueHeads} of keys: each must divide the one before`);
  const size = width / heads;
  const split = (x: Value, count: number, perm: readonly number[]): Value => permute(graph, reshapeBehind(graph, x, 2, [count, size]), perm); // [batch, sequence, count·size] → [batch, count, …]
  const shared = (x: Value): Value => (keyValueHeads === heads ? x : repeatHeads(nn, x, heads / keyValueHeads));
  const turned = (x: Value, count: number): Value => (rotary === undefined ? split(x, count, [0, 2, 1, 3]) : rotate(nn, split(x, count, [0, 2, 1, 3]), rotary));
  const q = times(graph, turned(query, heads), 1 / Math.sqrt(size)); // [batch, heads, queries, size]
  const k = rotary === undefined && keyValueHeads === heads ? split(key, heads, [0, 2, 3, 1]) : permute(graph, shared(turned(key, keyValueHeads)), [0, 1, 3, 2]); // [batch, heads, size, keys]
  const v = shared(split(value, keyValueHeads, [0, 2, 1, 3])); // [batch, heads, keys, size]
  const scores = masks.reduce((sum, mask) => add(graph, sum, mask), batchedMatMul(graph, q, k)); // [batch, heads, queries, keys]
  const weights = dropout(nn, softmax(graph, scores), rate, "weights_dropout");
  return reshapeBehind(graph, permute(graph, batchedMatMul(graph, weights, v), [0, 2, 1, 3]), 2, [width]);
}

/**
 * Hides later positions: [sequence, sequence] of 0 and a large negative number, to be added to scores.
 *
 * @param like a value whose axis `axis` is the sequence; its size may vary in a graph that is served
 */
export function causalMask(nn: Scope, like: Value, axis: number): Value {
  const { graph } = nn;
  const length = like.shape.at(axis);
  if (typeof length === "number") return graph.constant("FP32", [length, length], Array.from({ length: length * length }, (_, at) => (at % length > Math.floor(at / length) ? UNSEEN : 0)));
  const positions = positionsOf(nn, like, axis);
  const later = greater(graph, unsqueeze(graph, positions, [0]), unsqueeze(graph, positions, [1])); // [sequence, sequence]
  return where(graph, later, scalar(graph, UNSEEN), scalar(graph, 0));
}

/** Hides padding: INT64 or FP32 [batch, keys] of ones and zeros → [batch, 1, 1, keys], to be added to scores. */
export function paddingMask({ graph }: Scope, mask: Value): Value {
  const numbers = mask.datatype === "FP32" ? mask : cast(graph, mask, "FP32", ELEMENT_TYPES.FP32);
  return unsqueeze(graph, times(graph, sub(graph, scalar(graph, 1), numbers), UNSEEN), [1, 2]);
}

/** Each head `times` times in a row: [batch, heads, keys, size] → [batch, heads·times, keys, size]. */
function repeatHeads({ graph }: Scope, x: Value, repeats: number): Value {
  const [batch = 1, heads = 1, keys = 1, size = 1] = x.shape;
  const spread = graph.node("Expand", [unsqueeze(graph, x, [2]), graph.constant("INT64", [5], [1n, 1n, BigInt(repeats), 1n, 1n])], { datatype: x.datatype, shape: [batch, heads, repeats, keys, size] });
  const target = [typeof batch === "number" ? batch : 0, Number(heads) * repeats, typeof keys === "number" ? keys : -1, Number(size)];
  return graph.node("Reshape", [spread, graph.constant("INT64", [4], target.map(BigInt))], { datatype: x.datatype, shape: [batch, Number(heads) * repeats, keys, size] });
}
