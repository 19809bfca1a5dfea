import { GraphError, floatAttribute, gemm, intAttribute, op, textAttribute, unsqueeze, type Dimension, type Graph, type Value } from "@servable/onnx";
import { product, type ProductOptions } from "./product.ts";
import { inputOf, ints, reshapeLike, reshapeTo, spreadLike, times, unbroadcast, type Rule, type RuleContext } from "./rule.ts";

/** Matrix products. */
export const MATMUL: Readonly<Record<string, Rule>> = {
  /** y = a·b: da = g·bᵀ, db = aᵀ·g; leading axes that were broadcast are summed. */
  MatMul: (context) => {
    const { graph, upstream, needed } = context;
    const [a, b] = [inputOf(context, 0), inputOf(context, 1)];
    // A vector is a row on the left and a column on the right; its axis is missing in y.
    const row = a.shape.length === 1 ? unsqueeze(graph, a, [0]) : a;
    const column = b.shape.length === 1 ? unsqueeze(graph, b, [1]) : b;
    const tall = b.shape.length === 1 ? unsqueeze(graph, upstream, [upstream.shape.length]) : upstream;
    const g = a.shape.length === 1 ? unsqueeze(graph, tall, [tall.shape.length - 1]) : tall;
    const back = (gradient: Value, operand: Value, matrix: Value): Value => {
      const summed = unbroadcast(graph, gradient, matrix);
      return matrix === operand ? summed : reshapeLike(graph, summed, operand);
    };
    return [needed[0] === true ? back(product(context, g, column, { transB: true }), a, row) : undefined, needed[1] === true ? back(weightGradient(context, row, g, column), b, column) : undefined];
  },
  /** y = α·a'·b' */
  "com.microsoft::FusedMatMul": (context) => {
    const { graph, node, upstream, needed } = context;
    const [a, b] = [inputOf(context, 0), inputOf(context, 1)];
    if (a.shape.length < 2 || b.shape.length < 2 || intAttribute(node, "transBatchA", 0) + intAttribute(node, "transBatchB", 0) > 0) throw new GraphError("this form of FusedMatMul has no gradient");
    const [da, db] = factors(context, (x, z, options) => product(context, x, z, options), a, b);
    const alpha = floatAttribute(node, "alpha", 1);
    return [needed[0] === true ? unbroadcast(graph, scaled(graph, da(upstream), alpha), a) : undefined, needed[1] === true ? unbroadcast(graph, scaled(graph, db(upstream), alpha), b) : undefined];
  },
  /** y = α·a'·b' + β·c; each factor's gradient is again one Gemm. */
  Gemm: (context) => {
    const { graph, node, upstream, needed } = context;
    const [a, b] = [inputOf(context, 0), inputOf(context, 1)];
    const c = node.inputs[2];
    const [da, db] = factors(context, (x, z, options) => gemm(graph, x, z, options), a, b);
    const alpha = floatAttribute(node, "alpha", 1);
    return [
      needed[0] === true ? scaled(graph, da(upstream), alpha) : undefined,
      needed[1] === true ? scaled(graph, db(upstream), alpha) : undefined,
      c !== undefined && needed[2] === true ? unbroadcast(graph, scaled(graph, upstream, floatAttribute(node, "beta", 1)), c) : undefined,
    ];
  },
  /** Each operand: the Einsum of g and the other operands, with the operand's letters as its result. */
  Einsum: (context) => {
    const { graph, node, upstream, needed } = context;
    const [left = "", result = ""] = textAttribute(node, "equation", "").replaceAll(" ", "").split("->");
    const letters = left.split(",");
    if (!/^[A-Za-z,]+$/.test(left) || letters.some((each) => new Set(each).size !== each.length)) throw new GraphError("only equations of plain letters, none twice in an operand, have a gradient");
    return node.inputs.map((input, index) => {
      const own = letters[index] ?? "";
      if (input === undefined || needed[index] !== true) return undefined;
      const others = letters.map((each, at) => ({ each, at })).filter(({ at }) => at !== index);
      const seen = new Set([result, ...others.map(({ each }) => each)].join(""));
      // An index that is summed in this operand alone gets the same gradient all along.
      const kept = [...own].filter((letter) => seen.has(letter));
      const equation = `${[result, ...others.map(({ each }) => each)].join()}->${kept.join("")}`;
      const found = op(graph, "Einsum", [upstream, ...others.map(({ at }) => node.inputs[at])], { equation });
      return kept.length === own.length ? found : spreadLike(graph, unsqueeze(graph, found, [...own].flatMap((letter, axis) => (seen.has(letter) ? [] : [axis]))), input);
    });
  },
};

type Product = (a: Value, b: Value, options: ProductOptions) => Value;

/** For y = a'·b', transposed as the node says: da and db, from g. */
function factors({ node }: RuleContext, multiply: Product, a: Value, b: Value): [(g: Value) => Value, (g: Value) => Value] {
  const transA = intAttribute(node, "transA", 0) === 1;
  const transB = intAttribute(node, "transB", 0) === 1;
  return [
    (g) => (transA ? multiply(b, g, { transA: transB, transB: true }) : multiply(g, b, { transB: !transB })),
    (g) => (transB ? multiply(g, a, { transA: true, transB: transA }) : multiply(a, g, { transA: !transA })),
  ];
}

/** aᵀ·g; for a weight that all of a batch share, one Gemm of everything stacked up. */
function weightGradient(context: RuleContext, a: Value, g: Value, b: Value): Value {
  const { graph } = context;
  if (b.shape.length !== 2 || a.shape.length === 2) return product(context, a, g, { transA: true });
  const stacked = (x: Value, columns: Dimension | undefined): Value =>
    typeof columns === "number" ? reshapeTo(graph, x, ints(graph, [-1, columns]), ["?rows", columns]) : graph.node("Flatten", [x], { datatype: x.datatype, shape: ["?rows", x.shape.at(-1) ?? 1] }, { axis: x.shape.length - 1 });
  return gemm(graph, stacked(a, b.shape[0]), stacked(g, b.shape[1]), { transA: true });
}

const scaled = (graph: Graph, x: Value, factor: number): Value => (factor === 1 ? x : times(graph, x, factor));
