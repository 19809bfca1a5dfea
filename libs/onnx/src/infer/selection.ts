import { intAttribute, intsAttribute } from "../attributes.ts";
import { operand, type InferRule } from "./inference.ts";

/** Operators that keep some elements; how many, a run may tell. */
export const SELECTION_TYPES: Readonly<Record<string, InferRule>> = {
  Compress: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const stated = inference.node.attributes["axis"] === undefined ? undefined : intAttribute(inference.node, "axis", 0);
    if (stated === undefined) return [{ datatype, shape: [inference.unknown()] }];
    const axis = stated < 0 ? stated + shape.length : stated;
    return [{ datatype, shape: shape.map((size, at) => (at === axis ? inference.unknown() : size)) }];
  },
  Unique: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const stated = inference.node.attributes["axis"] === undefined ? undefined : intAttribute(inference.node, "axis", 0);
    const count = inference.unknown();
    const axis = stated === undefined ? undefined : stated < 0 ? stated + shape.length : stated;
    const unique = axis === undefined ? [count] : shape.map((size, at) => (at === axis ? count : size));
    const all = axis === undefined ? inference.unknown() : (shape[axis] ?? 1);
    return [{ datatype, shape: unique }, ...[[count], [all], [count]].map((each) => ({ datatype: "INT64" as const, shape: each }))].slice(0, inference.outputCount);
  },
  CenterCropPad: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const axes = intsAttribute(inference.node, "axes") ?? shape.map((_, axis) => axis);
    const sizes = inference.contents(inference.inputs[1]);
    return [{ datatype, shape: shape.map((size, at) => {
      const index = axes.findIndex((axis) => (axis < 0 ? axis + shape.length : axis) === at);
      return index < 0 ? size : (sizes?.[index] ?? inference.unknown());
    }) }];
  },
};
