import { parameterGradients } from "@servable/autodiff";
import { Scope, type MaskSpec, type Network } from "@servable/nn";
import { GraphError, add, buildModel, type Graph, type Value } from "@servable/onnx";
import { built, invalid } from "./network-signature.ts";

/** A graph of more nodes takes minutes to load (200,000 in a chain: 24 s); it was probably unrolled by mistake. */
export const NODES_MAX = 20_000;

/** Outputs that hold a parameter's gradient, by name. */
export type GradientOutputs = { readonly kind: "dense"; readonly value: string } | { readonly kind: "rows"; readonly indices: string; readonly rows: string };

/** Forward and backward pass for one size of batch. */
export interface TrainingGraph {
  readonly model: Uint8Array;
  readonly nodeCount: number;
  readonly loss: string;
  readonly gradients: ReadonlyMap<string, GradientOutputs>;
  /** Outputs that hold what buffers become, by the buffer's name. */
  readonly buffers: ReadonlyMap<string, string>;
  readonly masks: readonly MaskSpec[];
}

/** What a network says of a batch. */
export interface EvaluationGraph {
  readonly model: Uint8Array;
  readonly nodeCount: number;
  readonly loss: string;
  /** Output of the graph by the network's name for it. */
  readonly outputs: ReadonlyMap<string, string>;
}

/**
 * Writes the training graph of a network.
 *
 * @throws StatusError `NETWORK_INVALID` when the network has no loss, an operator without a gradient, or more than {@link NODES_MAX} nodes
 */
export function buildTrainingGraph(network: Network, dimensions: Readonly<Record<string, number>>): TrainingGraph {
  const scope = new Scope({ mode: "train", dimensions });
  const { graph } = scope;
  const { loss } = built(network, scope);
  if (loss === undefined) throw invalid("it has no loss in mode train");
  checkNodeCount(graph.nodes.length);
  const named = new OutputNames(graph);
  const trainable = scope.parameters.filter((parameter) => parameter.trainable);
  const total = scope.penalties.reduce((sum, penalty) => add(graph, sum, penalty), loss);
  const gradients = differentiated(graph, total, trainable.map(({ value }) => value));
  const result = {
    loss: named.add(total),
    gradients: new Map(
      trainable.map(({ name }, index): [string, GradientOutputs] => {
        const gradient = gradients[index];
        if (gradient === undefined) throw invalid(`parameter "${name}" has no gradient`);
        return [name, gradient.kind === "dense" ? { kind: "dense", value: named.add(gradient.value) } : { kind: "rows", indices: named.add(gradient.indices), rows: named.add(gradient.rows) }];
      }),
    ),
    buffers: new Map(scope.buffers.flatMap(({ name, next }): [string, string][] => (next === undefined ? [] : [[name, named.add(next)]]))),
    masks: scope.masks,
  };
  return { ...result, ...modelOf(graph, named) };
}

/** Writes the graph that evaluates a network. @throws StatusError `NETWORK_INVALID` */
export function buildEvaluationGraph(network: Network, dimensions: Readonly<Record<string, number>>): EvaluationGraph {
  const scope = new Scope({ mode: "eval", dimensions });
  const { loss, outputs } = built(network, scope);
  if (loss === undefined) throw invalid("it has no loss in mode eval");
  const named = new OutputNames(scope.graph);
  const result = { loss: named.add(loss), outputs: new Map(Object.entries(outputs).map(([name, value]) => [name, named.add(value)])) };
  return { ...result, ...modelOf(scope.graph, named) };
}

function differentiated(graph: Graph, loss: Value, parameters: readonly Value[]): ReturnType<typeof parameterGradients> {
  try {
    return parameterGradients(graph, loss, parameters);
  } catch (error) {
    if (error instanceof GraphError) throw invalid(error.message, error);
    throw error;
  }
}

function modelOf(graph: Graph, named: OutputNames): { model: Uint8Array; nodeCount: number } {
  const nodeCount = graph.nodes.length;
  checkNodeCount(nodeCount);
  return { model: buildModel({ graph, outputs: named.outputs }), nodeCount };
}

function checkNodeCount(count: number): void {
  if (count > NODES_MAX) throw invalid(`its graph has ${count} nodes, at most ${NODES_MAX} are run: shorten what is unrolled`);
}

/**
 * Outputs under the names that their values have already, because an Identity in between would copy them; only a value that is
 * several outputs, or that no node computes, gets another name.
 */
class OutputNames {
  readonly outputs: Record<string, Value> = {};
  readonly #graph: Graph;
  #computed: ReadonlySet<Value> | undefined;
  #count = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  add(value: Value): string {
    this.#computed ??= new Set(this.#graph.nodes.flatMap(({ outputs }) => outputs.filter((each) => each !== undefined)));
    const name = this.#computed.has(value) && !(value.name in this.outputs) ? value.name : `output:${this.#count++}`;
    this.outputs[name] = value;
    return name;
  }
}
