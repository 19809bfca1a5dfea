import { intAttribute, intsAttribute } from "../attributes.ts";
import type { Dimension } from "../graph.ts";
import { operand, type InferRule, type Inference } from "./inference.ts";

const like: InferRule = (inference) => [operand(inference, 0)].map(({ datatype, shape }) => ({ datatype, shape }));

/** A window function of the length that its operand states. */
const window: InferRule = (inference) => [{ datatype: inference.datatype(intAttribute(inference.node, "output_datatype", 1)), shape: [inference.contents(inference.inputs[0])?.[0] ?? inference.unknown()] }];

/** Regions of interest: [regions, channels, height, width]. */
const regions = (size: (inference: Inference) => [number, number]): InferRule => (inference) => {
  const [x, rois] = [operand(inference, 0), operand(inference, 1)];
  return [{ datatype: x.datatype, shape: [rois.shape[0] ?? 1, x.shape[1] ?? 1, ...size(inference)] }];
};

/** Signals, pictures and geometry. */
export const SIGNAL_TYPES: Readonly<Record<string, InferRule>> = {
  HannWindow: window,
  HammingWindow: window,
  BlackmanWindow: window,
  CumProd: like,
  MeanVarianceNormalization: like,
  ReverseSequence: like,
  TensorScatter: like,
  Det: (inference) => [{ datatype: operand(inference, 0).datatype, shape: operand(inference, 0).shape.slice(0, -2) }],
  GridSample: (inference) => {
    const [x, grid] = [operand(inference, 0), operand(inference, 1)];
    return [{ datatype: x.datatype, shape: [...x.shape.slice(0, 2), ...grid.shape.slice(1, -1)] }];
  },
  AffineGrid: (inference) => {
    const { datatype } = operand(inference, 0);
    const rank = operand(inference, 1).shape[0];
    const sizes = inference.contents(inference.inputs[1]) ?? Array.from({ length: Number(rank) }, () => inference.unknown());
    return [{ datatype, shape: [sizes[0] ?? 1, ...sizes.slice(2), sizes.length - 2] }];
  },
  DeformConv: (inference) => {
    const [x, w, offset] = [operand(inference, 0), operand(inference, 1), operand(inference, 2)];
    return [{ datatype: x.datatype, shape: [x.shape[0] ?? 1, w.shape[0] ?? 1, ...offset.shape.slice(2)] }];
  },
  Col2Im: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const [image, block] = [inference.contents(inference.inputs[1]), inference.contents(inference.inputs[2])];
    const spatial: Dimension[] = image === undefined ? Array.from({ length: Number(operand(inference, 1).shape[0]) }, () => inference.unknown()) : [...image];
    const width = block?.reduce<number>((product, size) => (typeof size === "number" ? product * size : NaN), 1) ?? NaN;
    const channels = typeof shape[1] === "number" && width > 0 ? shape[1] / width : inference.unknown();
    return [{ datatype, shape: [shape[0] ?? 1, channels, ...spatial] }];
  },
  RoiAlign: regions(({ node }) => [intAttribute(node, "output_height", 1), intAttribute(node, "output_width", 1)]),
  MaxRoiPool: regions(({ node }) => {
    const [height = 1, width = 1] = intsAttribute(node, "pooled_shape") ?? [];
    return [height, width];
  }),
  NonMaxSuppression: (inference) => [{ datatype: "INT64", shape: [inference.unknown(), 3] }],
  /** Real or complex numbers on the last axis; complex ones come out. */
  DFT: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const stated = inference.inputs[2] === undefined ? intAttribute(inference.node, "axis", inference.node.attributes["axis"] === undefined ? -2 : 1) : inference.contents(inference.inputs[2])?.[0];
    const axis = typeof stated === "number" ? (stated < 0 ? stated + shape.length : stated) : undefined;
    const length = inference.inputs[1] === undefined ? undefined : inference.contents(inference.inputs[1])?.[0];
    const half = intAttribute(inference.node, "onesided", 0) === 1;
    const inverse = intAttribute(inference.node, "inverse", 0) === 1;
    const along = (size: Dimension): Dimension => {
      const whole = inference.inputs[1] === undefined ? size : length;
      if (typeof whole !== "number" || (half && inverse)) return inference.unknown();
      return half ? Math.floor(whole / 2) + 1 : whole;
    };
    return [{ datatype, shape: shape.map((size, at) => (at === shape.length - 1 ? (half && inverse ? 1 : 2) : axis === undefined ? inference.unknown() : at === axis ? along(size) : size)) }];
  },
  STFT: (inference) => {
    const { datatype, shape } = operand(inference, 0);
    const [frame, hop] = [inference.contents(inference.inputs[3])?.[0] ?? inference.inputs[2]?.shape[0], inference.contents(inference.inputs[1])?.[0]];
    const size = shape[1];
    const known = typeof size === "number" && typeof frame === "number" && typeof hop === "number";
    const bins = typeof frame !== "number" ? inference.unknown() : intAttribute(inference.node, "onesided", 1) === 1 ? Math.floor(frame / 2) + 1 : frame;
    return [{ datatype, shape: [shape[0] ?? 1, known ? Math.floor((size - frame) / hop) + 1 : inference.unknown(), bins, 2] }];
  },
  MelWeightMatrix: (inference) => {
    const [bins, length] = [inference.contents(inference.inputs[0])?.[0], inference.contents(inference.inputs[1])?.[0]];
    return [{ datatype: inference.datatype(intAttribute(inference.node, "output_datatype", 1)), shape: [typeof length === "number" ? Math.floor(length / 2) + 1 : inference.unknown(), bins ?? inference.unknown()] }];
  },
  RegexFullMatch: (inference) => [{ datatype: "BOOL", shape: operand(inference, 0).shape }],
};
