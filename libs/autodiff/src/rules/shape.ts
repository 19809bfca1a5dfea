import { div, expandLike, mul, reshape, transpose, type Graph, type Value } from "@servable/onnx";
import { operands, type Rule, type RuleContext } from "./rule.ts";

/** Reductions and changes of shape. */
export const SHAPE: Readonly<Record<string, Rule>> = {
  /** The inverse reshape. */
  Reshape: (context) => [toShapeOf(context.graph, context.upstream, operands(context).a)],
  /** The inverse permutation; only full reversals are authored here. */
  Transpose: ({ graph, upstream }) => [transpose(graph, upstream)],
  /** g spread over the axes that were summed. */
  ReduceSum: (context) => [spread(context)],
  /** g/n spread over the axes that were averaged. */
  ReduceMean: (context) => {
    const { graph } = context;
    const { a } = operands(context);
    const ones = expandLike(graph, graph.constant("FP32", [], [1]), a);
    const axes = context.node.inputs[1];
    const y = operands(context).y;
    const count = graph.node("ReduceSum", [ones, axes], { datatype: "FP32", shape: y.shape }, context.node.attributes);
    return [spread({ ...context, upstream: div(graph, context.upstream, count) })];
  },
};

function spread(context: RuleContext): Value {
  const { graph, node, upstream } = context;
  const { a } = operands(context);
  const axes = node.inputs[1];
  const kept = node.attributes["keepdims"] === 1 || axes === undefined ? upstream : graph.node("Unsqueeze", [upstream, axes], { datatype: upstream.datatype, shape: a.shape.map(() => 1) });
  return mul(graph, expandLike(graph, graph.constant("FP32", [], [1]), a), { ...kept, shape: a.shape.map(() => 1) });
}

/** The shape of another value, known only when it runs where a dimension varies. */
function toShapeOf(graph: Graph, x: Value, like: Value): Value {
  if (like.shape.filter((dimension) => typeof dimension === "string").length <= 1) return reshape(graph, x, like.shape);
  const shape = graph.node("Shape", [like], { datatype: "INT64", shape: [like.shape.length] });
  return graph.node("Reshape", [x, shape], { datatype: x.datatype, shape: like.shape });
}
