import type { Datatype } from "@servable/tensor";
import { GraphError } from "../graph-error.ts";
import type { Dimension } from "../graph.ts";
import { intAttribute } from "../attributes.ts";
import { datatypeOf } from "../element-type.ts";
import { broadcastShapes } from "../ops/broadcast.ts";
import { operand, type InferRule, type Inference } from "./inference.ts";

/** The output is like the first input. */
const same: InferRule = (inference) => [operand(inference, 0)].map(({ datatype, shape }) => ({ datatype, shape }));

/** All inputs broadcast together; their datatypes are the same. */
const broadcast: InferRule = (inference) => [{ datatype: alike(inference), shape: joint(inference) }];
const comparison: InferRule = (inference) => {
  alike(inference);
  return [{ datatype: "BOOL", shape: joint(inference) }];
};

/** The one datatype of all operands from an index on. @throws GraphError */
function alike(inference: Inference, from = 0): Datatype {
  const { datatype } = operand(inference, from);
  const other = inference.inputs.slice(from).find((input) => input !== undefined && input.datatype !== datatype);
  if (other !== undefined) throw new GraphError(`${datatype} and ${other.datatype} do not mix: cast one of them`);
  return datatype;
}

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
  ...table("Add Sub Mul Div Mod Max Min Mean Sum PRelu BitShift BitwiseAnd BitwiseOr BitwiseXor And Or Xor", broadcast),
  ...table("Equal Greater GreaterOrEqual Less LessOrEqual", comparison),
  /** The exponent may have another datatype. */
  Pow: (inference) => [{ datatype: operand(inference, 0).datatype, shape: joint(inference) }],
  ...table("IsNaN IsInf", (inference) => [{ datatype: "BOOL", shape: operand(inference, 0).shape }]),
  Where: (inference) => {
    if (operand(inference, 0).datatype !== "BOOL") throw new GraphError(`the condition is ${operand(inference, 0).datatype}, a BOOL is needed`);
    return [{ datatype: alike(inference, 1), shape: joint(inference) }];
  },
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
  BatchNormalization: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const [mean, variance] = [operand(inference, 3), operand(inference, 4)];
    return [{ datatype, shape }, ...[mean, variance].map((statistic) => ({ datatype: statistic.datatype, shape: statistic.shape }))].slice(0, inference.outputCount);
  },
  LayerNormalization: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const axis = intAttribute(inference.node, "axis", -1);
    const kept = shape.map((size, index) => (index >= (axis < 0 ? axis + shape.length : axis) ? 1 : size));
    return [{ datatype, shape }, { datatype: "FP32" as const, shape: kept }, { datatype: "FP32" as const, shape: kept }].slice(0, inference.outputCount);
  },
};
