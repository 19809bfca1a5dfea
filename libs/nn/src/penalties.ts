import { add, mul, reduceSum, type Graph, type Value } from "@servable/onnx";
import { same, times } from "./nodes.ts";
import type { Network, ParameterSpec } from "./scope.ts";

/** λ·Σ|w| */
export const l1Penalty = (graph: Graph, parameters: readonly Value[], strength: number): Value => times(graph, sumOf(graph, parameters.map((value) => total(graph, same(graph, "Abs", value)))), strength);

/** λ·Σw². Its gradient is 2·λ·w: an optimiser's `weightDecay` of 2·λ is the same for plain SGD. */
export const l2Penalty = (graph: Graph, parameters: readonly Value[], strength: number): Value => times(graph, sumOf(graph, parameters.map((value) => total(graph, mul(graph, value, value)))), strength);

/** Strengths of penalties on parameters. */
export interface Penalties {
  /** λ of λ·Σ|w|. @default 0 */
  readonly l1?: number;
  /** λ of λ·Σw². @default 0 */
  readonly l2?: number;
  /** Which parameters are held. @default those that decay: matrices and kernels */
  readonly of?: (parameter: ParameterSpec) => boolean;
}

/** The network with penalties on its parameters while it is trained. */
export function withPenalties(network: Network, { l1 = 0, l2 = 0, of = ({ decay }) => decay }: Penalties): Network {
  if (l1 === 0 && l2 === 0) return network;
  return (nn) => {
    const built = network(nn);
    const values = nn.parameters.filter((parameter) => parameter.trainable && of(parameter)).map(({ value }) => value);
    if (nn.mode !== "train" || values.length === 0) return built;
    if (l1 !== 0) nn.addPenalty(l1Penalty(nn.graph, values, l1));
    if (l2 !== 0) nn.addPenalty(l2Penalty(nn.graph, values, l2));
    return built;
  };
}

const total = (graph: Graph, x: Value): Value => reduceSum(graph, x, x.shape.map((_, axis) => axis));

function sumOf(graph: Graph, values: readonly Value[]): Value {
  const [first, ...rest] = values;
  if (first === undefined) throw new RangeError("a penalty of no parameters");
  return rest.reduce((sum, value) => add(graph, sum, value), first);
}
