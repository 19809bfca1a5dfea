import { floats, int, ints, intsOf, type RuleCase } from "./rule-case.ts";

const image = [1, 2, 3, 4];

/** Cases of what moves elements. */
export const SHAPE_CASES: readonly RuleCase[] = [
  { op: "Reshape", operands: [[2, 3], ints(3, -1)] },
  { op: "Flatten", operands: [[2, 3, 2]], attributes: { axis: 2 } },
  { op: "Squeeze", operands: [[2, 1, 3, 1], ints(1, -1)] },
  { op: "Unsqueeze", operands: [[2, 3], ints(0, -1)] },
  { op: "Transpose", operands: [[2, 3]] },
  { op: "Transpose", operands: [[2, 3, 2]], attributes: { perm: [1, 2, 0] }, about: "no reversal" },
  { op: "Concat", operands: [[2, 3], [2, 1], [2, 2]], attributes: { axis: -1 } },
  { op: "Split", operands: [[2, 5], ints(2, 3)], attributes: { axis: 1 }, outputCount: 2 },
  { op: "Split", operands: [[5, 2]], attributes: { axis: 0, num_outputs: 2 }, outputCount: 2, about: "unequal halves" },
  { op: "Slice", operands: [[4, 5], ints(1, -3), ints(3, 9), ints(0, 1)] },
  { op: "Slice", operands: [[4, 5], ints(-1, 0), ints(-9, 5), ints(0, 1), ints(-2, 2)], about: "steps, one backwards" },
  { op: "Pad", operands: [[2, 3], ints(1, 0, 0, 2)] },
  { op: "Pad", operands: [[3, 4], ints(0, -1, 1, -1)], about: "negative pads" },
  { op: "Pad", operands: [[3, 4], ints(2, 1), undefined, ints(-1)], about: "one axis" },
  { op: "Pad", operands: [[3, 4], ints(1, 2, 1, 0)], attributes: { mode: "reflect" }, about: "reflected" },
  { op: "Pad", operands: [[2, 3], ints(1, 2, 1, 0)], attributes: { mode: "edge" }, about: "edges repeated" },
  { op: "Expand", operands: [[3, 1], ints(2, 1, 4)] },
  { op: "Tile", operands: [[2, 3], ints(2, 3)] },
  { op: "DepthToSpace", operands: [[1, 8, 2, 1]], attributes: { blocksize: 2 } },
  { op: "DepthToSpace", operands: [[1, 8, 2, 1]], attributes: { blocksize: 2, mode: "CRD" }, about: "columns first" },
  { op: "SpaceToDepth", operands: [[1, 1, 4, 2]], attributes: { blocksize: 2 } },
  { op: "Gather", operands: [[4, 3], intsOf([2, 3], [0, 2, 2, -1, 1, 0])], about: "repeated and negative indices" },
  { op: "Gather", operands: [[2, 4, 2], ints(3, 3, 0)], attributes: { axis: 1 }, about: "the middle axis" },
  { op: "Gather", operands: [[3, 2], int(1)], about: "one row" },
  { op: "GatherElements", operands: [[3, 2], intsOf([2, 2], [0, 2, 0, -1])], attributes: { axis: 0 } },
  { op: "GatherND", operands: [[3, 2], intsOf([3, 2], [0, 1, 2, 0, 0, 1])] },
  { op: "GatherND", operands: [[3, 2], intsOf([2, 1], [2, 2])], about: "whole rows" },
  { op: "ScatterElements", operands: [[3, 2], intsOf([1, 2], [2, 0]), [1, 2]] },
  { op: "ScatterElements", operands: [[4], ints(1, 1), [2]], attributes: { reduction: "add" }, about: "added" },
  { op: "ScatterND", operands: [[3, 2], intsOf([2, 1], [2, 0]), [2, 2]] },
  { op: "TopK", operands: [[2, 5], ints(2)], outputCount: 2 },
  { op: "TopK", operands: [[2, 5], ints(3)], attributes: { axis: 1, largest: 0 }, outputCount: 2, about: "the smallest" },
  ...["nearest", "linear", "cubic"].flatMap((mode): RuleCase[] => [
    { op: "Resize", operands: [image, undefined, floats(1, 1, 2, 1.5)], attributes: { mode }, about: `${mode} by scales` },
    { op: "Resize", operands: [image, undefined, undefined, ints(1, 2, 2, 7)], attributes: { mode, coordinate_transformation_mode: "align_corners" }, about: `${mode} to sizes`, fixedSizes: true },
  ]),
];
