// Attention and rotary position embeddings as single operators.

import { GraphError, add, floatAttribute, intAttribute, mul, op, reduceSum, scalar, softmax, sub, where, type Dimension, type Graph, type Value } from "@servable/onnx";
import { product } from "./product.ts";
import { inputOf, reshapeTo, sizeList, sizesOf, sumOver, times, unbroadcast, type Rule, type RuleContext } from "./rule.ts";

/** Attention. */
export const ATTENTION: Readonly<Record<string, Rule>> = {
  /** A rotation by θ is undone by one by -θ: the same node with -sin. Source: Su et al., RoFormer (2021), equation 34. */
  RotaryEmbedding: (context) => {
    const { graph, node, upstream } = context;
    return [op(graph, "RotaryEmbedding", [upstream, node.inputs[1], negated(graph, inputOf(context, 2)), node.inputs[3]], node.attributes)];
  },
  "com.microsoft::RotaryEmbedding": (context) => {
    const { graph, node, upstream } = context;
    return [op(graph, "RotaryEmbedding", [upstream, node.inputs[1], node.inputs[2], negated(graph, inputOf(context, 3))], node.attributes, { domain: "com.microsoft" })];
  },
  /**
   * With P = softmax(s·QKᵀ + mask) computed again: dV = Pᵀg, dP = gVᵀ, dS = P·(dP - Σ(P·dP)), dQ = s·dS·K, dK = s·dSᵀ·Q,
   * dmask = dS. Heads of keys and values that several heads of queries share get the sum of theirs.
   * Source: Vaswani et al., Attention Is All You Need (2017), equation 1, differentiated.
   */
  Attention: (context) => {
    const { graph, node, upstream, needed } = context;
    if (node.inputs[4] !== undefined || node.inputs[5] !== undefined) throw new GraphError("with past keys and values it has no gradient");
    if (floatAttribute(node, "softcap", 0) !== 0) throw new GraphError("with a softcap it has no gradient");
    const [q, k, v] = [0, 1, 2].map((index) => split(context, inputOf(context, index), index === 0 ? "q_num_heads" : "kv_num_heads")) as [Value, Value, Value];
    const g = split(context, upstream, "q_num_heads");
    const groups = Number(q.shape[1]) / Number(k.shape[1]);
    if (!Number.isInteger(groups)) throw new GraphError("a number of heads that varies has no gradient");
    const scale = floatAttribute(node, "scale", 1 / Math.sqrt(Number(q.shape[3])));
    if (!Number.isFinite(scale)) throw new GraphError("heads of a size that varies have no gradient");
    const [keys, values] = [repeated(graph, k, groups), repeated(graph, v, groups)];
    const scores = masked(context, times(graph, product(context, q, keys, { transB: true }), scale)); // [batch, heads, queries, keys]
    const weights = softmax(graph, scores);
    const dWeights = product(context, g, values, { transB: true });
    const dScores = mul(graph, weights, sub(graph, dWeights, sumOver(graph, mul(graph, weights, dWeights), [3])));
    const mask = node.inputs[3];
    return [
      needed[0] === true ? join(context, times(graph, product(context, dScores, keys), scale), 0) : undefined,
      needed[1] === true ? join(context, summed(graph, times(graph, product(context, dScores, q, { transA: true }), scale), groups), 1) : undefined,
      needed[2] === true ? join(context, summed(graph, product(context, weights, g, { transA: true }), groups), 2) : undefined,
      mask !== undefined && needed[3] === true ? unbroadcast(graph, dScores, mask) : undefined,
    ];
  },
};

const negated = (graph: Graph, x: Value): Value => op(graph, "Neg", [x]);

/** [batch, tokens, heads · size] as [batch, heads, tokens, size]. */
function split({ graph, node }: RuleContext, x: Value, attribute: string): Value {
  if (x.shape.length === 4) return x;
  const heads = intAttribute(node, attribute, 1);
  const [batch = 1, tokens = 1, width] = x.shape;
  if (typeof width !== "number") throw new GraphError("heads of a size that varies have no gradient");
  const shape: Dimension[] = [batch, tokens, heads, width / heads];
  const apart = reshapeTo(graph, x, sizeList(graph, sizesOf(graph, x, 0, 2), [heads, width / heads]), shape);
  return op(graph, "Transpose", [apart], { perm: [0, 2, 1, 3] });
}

/** The other way round, for the gradient of an input. */
function join(context: RuleContext, x: Value, index: number): Value {
  const { graph } = context;
  const input = inputOf(context, index);
  if (input.shape.length === 4) return x;
  const turned = op(graph, "Transpose", [x], { perm: [0, 2, 1, 3] });
  return reshapeTo(graph, turned, sizesOf(graph, input), input.shape);
}

/** Each head of keys as often as heads of queries look at it. */
function repeated(graph: Graph, x: Value, groups: number): Value {
  if (groups === 1) return x;
  const [batch = 1, heads = 1, tokens = 1, size = 1] = x.shape;
  const apart = op(graph, "Unsqueeze", [x, graph.constant("INT64", [1], [2n])]);
  const wide = graph.node("Expand", [apart, sizeList(graph, [1, 1, groups, 1, 1])], { datatype: x.datatype, shape: [batch, heads, groups, tokens, size] });
  return reshapeTo(graph, wide, sizeList(graph, [0, -1], sizesOf(graph, x, 2)), [batch, Number(heads) * groups, tokens, size]);
}

function summed(graph: Graph, x: Value, groups: number): Value {
  if (groups === 1) return x;
  const [batch = 1, heads = 1, tokens = 1, size = 1] = x.shape;
  const apart = reshapeTo(graph, x, sizeList(graph, [0, Number(heads) / groups, groups], sizesOf(graph, x, 2)), [batch, Number(heads) / groups, groups, tokens, size]);
  return reduceSum(graph, apart, [2]);
}

function masked({ graph, node }: RuleContext, scores: Value): Value {
  const mask = node.inputs[3];
  const lowest = scalar(graph, scores, -3.4028234663852886e38);
  const given = mask === undefined ? scores : mask.datatype === "BOOL" ? where(graph, mask, scores, lowest) : add(graph, scores, mask);
  if (intAttribute(node, "is_causal", 0) !== 1) return given;
  const square = sizesOf(graph, scores, 2, 4);
  const ones = graph.node("ConstantOfShape", [square], { datatype: "INT64", shape: scores.shape.slice(2) }, { value: { tensor: { datatype: "INT64", shape: [1], data: new Uint8Array(new BigInt64Array([1n]).buffer) } } });
  const seen = op(graph, "Cast", [op(graph, "Trilu", [ones], { upper: 0 })], { to: 9 });
  return where(graph, seen, given, lowest);
}

