import { ELEMENT_TYPES, argMax, cast, concat, gather, greater, reshape, sigmoid, softmax, sub, type Graph, type Value } from "@servable/onnx";

/**
 * Turns logits into what callers read: `probabilities` f32 [batch, classes] and `label` BYTES [batch].
 *
 * logits: [batch, 1] for two classes (the second one's), [batch, classes] for more.
 */
export function classOutputs(graph: Graph, logits: Value, classes: readonly string[]): { probabilities: Value; label: Value } {
  const names = graph.constant("BYTES", [classes.length], classes);
  if (logits.shape[1] === 1) {
    const second = sigmoid(graph, logits); // [batch, 1]
    const probabilities = concat(graph, [sub(graph, graph.constant("FP32", [], [1]), second), second], 1);
    const index = cast(graph, greater(graph, second, graph.constant("FP32", [], [0.5])), "INT64", ELEMENT_TYPES.INT64);
    return { probabilities, label: gather(graph, names, reshape(graph, index, ["batch"])) };
  }
  const probabilities = softmax(graph, logits);
  return { probabilities, label: gather(graph, names, argMax(graph, probabilities, 1)) };
}
