// Exporters put copies, transposes and casts of nothing between a weight and the operator that uses it. To know which weight
// an operator has, we follow values instead of names: functions of a model rename what is handed to them.

import { intsAttribute, op, type Graph, type ImportedNode, type Value } from "@servable/onnx";

/** The weight that a value is, maybe turned. */
export interface TrackedWeight {
  readonly name: string;
  /** The value is the transpose of the weight, a matrix. */
  readonly transposed: boolean;
  /** The value has the weight's numbers in another shape. */
  readonly reshaped: boolean;
}

/** Operators that hand on the numbers of their first operand in their order. */
const RESHAPING: ReadonlySet<string> = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

/** Knows which values are weights while a model is taken into a graph. */
export class WeightTracker {
  readonly #weights = new Map<Value, TrackedWeight>();

  /** Notes that a value is the weight of that name. */
  note(name: string, value: Value): void {
    this.#weights.set(value, { name, transposed: false, reshaped: false });
  }

  /** The weight that a value is; undefined for one that is computed. */
  weightOf(value: Value | undefined): TrackedWeight | undefined {
    return value && this.#weights.get(value);
  }

  /** Follows a node that hands a weight on; undefined for any other node. */
  follow(node: ImportedNode, graph: Graph): Value[] | undefined {
    const [source] = node.inputs;
    const weight = this.weightOf(source);
    if (weight === undefined || source === undefined || node.domain !== "") return undefined;
    if (node.opType === "Identity") return [source];
    if (RESHAPING.has(node.opType)) {
      const shaped = op(graph, node.opType, node.inputs, node.attributes);
      this.#weights.set(shaped, { ...weight, reshaped: true });
      return [shaped];
    }
    const perm = node.opType === "Transpose" ? (intsAttribute(node, "perm") ?? source.shape.map((_, axis) => source.shape.length - 1 - axis)) : [];
    if (perm.join() !== "1,0") return undefined;
    const turned = op(graph, "Transpose", [source], { perm });
    this.#weights.set(turned, { ...weight, transposed: !weight.transposed });
    return [turned];
  }
}
