import { Graph, buildModel, type Value } from "@servable/onnx";
import { tensorOf } from "@servable/tensor";
import { seededRandom } from "@servable/testing";

/** Sizes of MiniLM: 6 layers, 12 heads. The vocabulary is small, since a table costs no mathematics. */
const [LAYERS, HIDDEN, HEADS, INTERMEDIATE, TOKENS, VOCABULARY] = [6, 384, 12, 1_536, 32, 1_000] as const;
const HEAD = HIDDEN / HEADS;
const SEED = 11;

/** An encoder of BERT's shape with random weights: ids INT64 [batch, 32] in, mean of the last states FP32 [batch, 384] out. */
export function bertModel(): Uint8Array {
  const random = seededRandom(SEED);
  const graph = new Graph();
  const weight = (name: string, shape: readonly number[], value = () => (random.next() - 0.5) * 0.08): Value => graph.weight(name, tensorOf("FP32", shape, Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value)));
  const node = (op: string, inputs: readonly Value[], shape: readonly (number | string)[], attributes = {}): Value => graph.node(op, inputs, { datatype: "FP32", shape }, attributes);
  const states = ["batch", TOKENS, HIDDEN];
  const linear = (name: string, x: Value, from: number, to: number): Value =>
    node("Add", [node("MatMul", [x, weight(`${name}.w`, [from, to])], ["batch", TOKENS, to]), weight(`${name}.b`, [to])], ["batch", TOKENS, to]);
  const norm = (name: string, x: Value): Value => node("LayerNormalization", [x, weight(`${name}.scale`, [HIDDEN], () => 1), weight(`${name}.bias`, [HIDDEN], () => 0)], states, { axis: -1, epsilon: { float: 1e-12 } });

  const ids = graph.input("input_ids", "INT64", ["batch", TOKENS]);
  const split = graph.constant("INT64", [4], [0, TOKENS, HEADS, HEAD]);
  const join = graph.constant("INT64", [3], [0, TOKENS, HIDDEN]);
  const scale = graph.constant("FP32", [], [Math.sqrt(HEAD)]);
  const heads = (name: string, x: Value, perm: readonly number[], shape: readonly (number | string)[]): Value => node("Transpose", [node("Reshape", [linear(name, x, HIDDEN, HIDDEN), split], ["batch", TOKENS, HEADS, HEAD])], shape, { perm });

  let x = norm("embedding", node("Add", [node("Gather", [weight("words", [VOCABULARY, HIDDEN]), ids], states), weight("positions", [TOKENS, HIDDEN])], states));
  for (let layer = 0; layer < LAYERS; layer++) {
    const at = `layer${layer}`;
    const q = heads(`${at}.q`, x, [0, 2, 1, 3], ["batch", HEADS, TOKENS, HEAD]);
    const k = heads(`${at}.k`, x, [0, 2, 3, 1], ["batch", HEADS, HEAD, TOKENS]);
    const v = heads(`${at}.v`, x, [0, 2, 1, 3], ["batch", HEADS, TOKENS, HEAD]);
    const square = ["batch", HEADS, TOKENS, TOKENS];
    const attention = node("Softmax", [node("Div", [node("MatMul", [q, k], square), scale], square)], square, { axis: -1 });
    const context = node("Reshape", [node("Transpose", [node("MatMul", [attention, v], ["batch", HEADS, TOKENS, HEAD])], ["batch", TOKENS, HEADS, HEAD], { perm: [0, 2, 1, 3] }), join], states);
    x = norm(`${at}.norm1`, node("Add", [x, linear(`${at}.out`, context, HIDDEN, HIDDEN)], states));
    const inner = node("Gelu", [linear(`${at}.up`, x, HIDDEN, INTERMEDIATE)], ["batch", TOKENS, INTERMEDIATE]);
    x = norm(`${at}.norm2`, node("Add", [x, linear(`${at}.down`, inner, INTERMEDIATE, HIDDEN)], states));
  }
  return buildModel({ graph, outputs: { embedding: graph.node("ReduceMean", [x, graph.constant("INT64", [1], [1])], { datatype: "FP32", shape: ["batch", HIDDEN] }, { keepdims: 0 }) } });
}

/** Ids of one example. */
export function tokenIds(): Uint8Array {
  const random = seededRandom(SEED);
  return new Uint8Array(BigInt64Array.from({ length: TOKENS }, () => BigInt(random.below(VOCABULARY))).buffer);
}
