import { GraphError, type Dimension } from "../../graph.ts";
import { intAttribute } from "../../attributes.ts";
import { datatypeOf } from "../../element-type.ts";
import { broadcastShapes } from "../../ops/broadcast.ts";
import { operand, type InferRule, type Inference } from "./inference.ts";

/** The output is like the first input. */
const same: InferRule = (inference) => [operand(inference, 0)].map(({ datatype, shape }) => ({ datatype, shape }));

/** All inputs broadcast together. */
const broadcast: InferRule = (inference) => [{ datatype: operand(inference, 0).datatype, shape: joint(inference) }];
const comparison: InferRule = (inference) => [{ datatype: "BOOL", shape: joint(inference) }];

function joint({ inputs }: Inference): Dimension[] {
  return inputs.reduce<Dimension[]>((shape, input) => (input === undefined ? shape : broadcastShapes(shape, input.shape)), []);
}

const table = (names: string, rule: InferRule): Record<string, InferRule> => Object.fromEntries(names.split(" ").map((name) => [name, rule]));

/** Operators whose output has the inputs' shapes broadcast together. */
export const ELEMENTWISE_TYPES: Readonly<Record<string, InferRule>> = {
  ...table("Abs Neg Identity Exp Log Sqrt Reciprocal Sin Cos Tan Asin Acos Atan Sinh Cosh Tanh Asinh Acosh Atanh Erf Floor Ceil Round Sign Not BitwiseNot", same),
  ...table("Relu LeakyRelu Elu Celu Selu Sigmoid Softplus Softsign HardSigmoid HardSwish Mish Gelu ThresholdedRelu Shrink Swish Clip", same),
  ...table("Softmax LogSoftmax Hardmax LpNormalization LRN InstanceNormalization GroupNormalization RMSNormalization CumSum Trilu ScatterElements ScatterND Scatter", same),
  ...table("com.microsoft::Gelu com.microsoft::QuickGelu com.microsoft::FastGelu com.microsoft::BiasGelu", same),
  ...table("Add Sub Mul Div Pow Mod Max Min Mean Sum PRelu BitShift BitwiseAnd BitwiseOr BitwiseXor And Or Xor", broadcast),
  ...table("Equal Greater GreaterOrEqual Less LessOrEqual", comparison),
  ...table("IsNaN IsInf", (inference) => [{ datatype: "BOOL", shape: operand(inference, 0).shape }]),
  Where: (inference) => [{ datatype: operand(inference, 1).datatype, shape: joint(inference) }],
  Cast: (inference) => {
    const to = intAttribute(inference.node, "to", 0);
    const datatype = datatypeOf(to);
    if (datatype === undefined) throw new GraphError(`Cast to the ONNX element type ${to}`);
    return [{ datatype, shape: operand(inference, 0).shape }];
  },
  CastLike: (inference) => [{ datatype: operand(inference, 1).datatype, shape: operand(inference, 0).shape }],
  Dropout: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    return [{ datatype, shape }, { datatype: "BOOL" as const, shape }].slice(0, inference.outputCount);
  },
  QuantizeLinear: (inference) => {
    const to = datatypeOf(intAttribute(inference.node, "output_dtype", 0));
    return [{ datatype: inference.inputs[2]?.datatype ?? to ?? "UINT8", shape: operand(inference, 0).shape }];
  },
  DequantizeLinear: (inference) => [{ datatype: operand(inference, 1).datatype, shape: operand(inference, 0).shape }],
  BatchNormalization: same,
  LayerNormalization: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const axis = intAttribute(inference.node, "axis", -1);
    const kept = shape.map((size, index) => (index >= (axis < 0 ? axis + shape.length : axis) ? 1 : size));
    return [{ datatype, shape }, { datatype: "FP32" as const, shape: kept }, { datatype: "FP32" as const, shape: kept }].slice(0, inference.outputCount);
  },
};
