// Not every constant of a file is a weight: scales, masks and rotary tables are constants too, and must not move when the
// model learns. What a constant is shows in where it is used.

import { elementCount, elementsOf, type Tensor } from "@servable/tensor";
import { importGraph, operatorKey, type ImportOptions, type ImportedNode, type ModelProto, type Value } from "@servable/onnx";
import { WeightTracker, type TrackedWeight } from "./weight-tracker.ts";

/** A use of a weight by an operator. */
export interface WeightUse {
  /** "Gemm", "com.microsoft::FusedMatMul". */
  readonly operator: string;
  /** Which operand it is. */
  readonly operand: number;
  readonly transposed: boolean;
  /** The operator sees it in another shape than the file has. */
  readonly reshaped: boolean;
  readonly node: ImportedNode;
}

/** A constant of a model with its uses. */
export interface ModelWeight {
  readonly name: string;
  readonly tensor: Tensor;
  readonly uses: readonly WeightUse[];
  /** Whether its uses say that it was learned by gradients, see {@link LEARNED}. */
  readonly learned: boolean;
  /** Whether it is a running statistic of batch normalisation, by its uses. */
  readonly statistic: boolean;
}

/** Operands that exporters of every framework fill with learned numbers. */
const LEARNED: Readonly<Record<string, readonly number[]>> = {
  MatMul: [0, 1], "com.microsoft::FusedMatMul": [0, 1], Gemm: [0, 1, 2], Conv: [1, 2], ConvTranspose: [1, 2],
  LayerNormalization: [1, 2], RMSNormalization: [1], InstanceNormalization: [1, 2], GroupNormalization: [1, 2], BatchNormalization: [1, 2], SimplifiedLayerNormalization: [1], "com.microsoft::SkipLayerNormalization": [2, 3, 4], "com.microsoft::SkipSimplifiedLayerNormalization": [2, 3],
  "com.microsoft::BiasGelu": [1], "com.microsoft::FastGelu": [1], PRelu: [1], Gather: [0], LSTM: [1, 2, 3, 7], GRU: [1, 2, 3], RNN: [1, 2, 3],
};
/** Of these a constant is learned when it has one long axis: biases and scales that are written out. */
const VECTORS: ReadonlySet<string> = new Set(["Add", "Sub", "Mul", "Div"]);
const STATISTICS = [3, 4];

/** Every constant of a model in FP32, by name, with where it is used. @throws GraphError as importGraph does */
export function weightsOfModel(model: ModelProto, options: Pick<ImportOptions, "readExternal"> = {}): Map<string, ModelWeight> {
  const tensors = new Map<string, Tensor>();
  const uses = new Map<string, WeightUse[]>();
  const tracker = new WeightTracker();
  importGraph(model, {
    ...options,
    weights: (name, tensor) => {
      if (tensor.datatype === "FP32") tensors.set(name, tensor);
      return undefined;
    },
    substitute: (name, value) => {
      if (tensors.has(name) && value.datatype === "FP32") tracker.note(name, value);
      return value;
    },
    rewrite: (node, graph): Value[] | undefined => {
      const followed = tracker.follow(node, graph);
      if (followed !== undefined) return followed;
      node.inputs.forEach((input, operand) => {
        const weight = tracker.weightOf(input);
        if (weight === undefined) return;
        uses.set(weight.name, [...(uses.get(weight.name) ?? []), useOf(node, operand, weight)]);
      });
      return undefined;
    },
  });
  return new Map([...tensors].map(([name, tensor]) => [name, weightOf(name, tensor, uses.get(name) ?? [])]));
}

function useOf(node: ImportedNode, operand: number, { transposed, reshaped }: TrackedWeight): WeightUse {
  return { operator: operatorKey(node), operand, transposed, reshaped, node };
}

function weightOf(name: string, tensor: Tensor, uses: readonly WeightUse[]): ModelWeight {
  const long = tensor.shape.filter((size) => size > 1).length === 1;
  const filled = elementCount(tensor.shape) > 0;
  const learned = filled && uses.length > 0 && uses.every(({ operator, operand }) => LEARNED[operator]?.includes(operand) === true || (VECTORS.has(operator) && long));
  // Other normalisations are exported as an instance normalisation that scales by ones and shifts by zeros.
  const neutral = uses.some(({ operator }) => operator === "InstanceNormalization") && isNeutral(tensor, uses[0]?.operand === 1 ? 1 : 0);
  const statistic = uses.some(({ operator, operand }) => operator === "BatchNormalization" && STATISTICS.includes(operand));
  return { name, tensor, uses, learned: learned && !statistic && !neutral, statistic };
}

function isNeutral(tensor: Tensor, value: number): boolean {
  return (elementsOf(tensor) as number[]).every((element) => element === value);
}
