// The weight gradient of small kernels as matrix products, one for each position in the kernel. Measured on one core, batch 64,
// against one Conv with g as its kernel: 32→64 channels on 14², 3×3: 5.7 to 13.1 ms; 16→32 on 32², stride 2: 4.5 to 8.0; 1×1:
// 0.4 to 4.7; LeNet's 5×5 even. Only large kernels lose: 3→64 on 64², 7×7: 13.0 to 2.9.

import { gemm, type Graph, type Value } from "@servable/onnx";
import type { KnownWindow } from "./conv.ts";
import { ints, reshapeTo, scalar } from "./rule.ts";

/** Positions in a kernel up to which products win. */
const KERNEL_AREA_MAX = 25;

/** Whether {@link weightGradientByProducts} is the faster way, and possible: sizes of images must be known. */
export function isSmallKernel(x: Value, g: Value, { kernel, group }: KnownWindow): boolean {
  const sizes = [...x.shape.slice(1), ...g.shape.slice(1)];
  return kernel.length === 2 && group === 1 && kernel.reduce((area, size) => area * size, 1) <= KERNEL_AREA_MAX && sizes.every((size) => typeof size === "number");
}

/**
 * dw[o, c, i, j] = Σ over n, h, w of g[n, o, h, w] · x[n, c, h·s + i·d - p, w·s + j·d - p]: for each (i, j) the rows of g
 * times the pixels of x that the position sees, channels last so that a pixel is one piece of memory.
 *
 * x: [N, C, H, W], g: [N, O, oh, ow] → [O, C, kh, kw]
 */
export function weightGradientByProducts(graph: Graph, x: Value, g: Value, w: Value, { kernel, strides, dilations, padsBefore, padsAfter }: KnownWindow): Value {
  const { datatype } = x;
  const [batch = 1, channels = 1, height = 1, width = 1] = x.shape as readonly number[];
  const [, outputs = 1, rows = 1, columns = 1] = g.shape as readonly number[];
  const [kh = 1, kw = 1] = kernel;
  const [sh = 1, sw = 1] = strides;
  const [dh = 1, dw = 1] = dilations;
  const pads = [0, ...padsBefore, 0, 0, ...padsAfter, 0];
  const last = graph.node("Transpose", [x], { datatype, shape: [batch, height, width, channels] }, { perm: [0, 2, 3, 1] });
  const [top = 0, left = 0] = padsBefore;
  const [bottom = 0, right = 0] = padsAfter;
  const framed = pads.every((pad) => pad === 0) ? last : graph.node("Pad", [last, ints(graph, pads), scalar(graph, x, 0)], { datatype, shape: [batch, height + top + bottom, width + left + right, channels] }, { mode: "constant" });
  const turned = graph.node("Transpose", [g], { datatype, shape: [outputs, batch, rows, columns] }, { perm: [1, 0, 2, 3] });
  const pixels = typeof batch === "number" ? batch * rows * columns : "?pixels";
  const upstream = reshapeTo(graph, turned, ints(graph, [outputs, -1]), [outputs, pixels]);
  const parts = Array.from({ length: kh * kw }, (_, at) => {
    const [i, j] = [Math.floor(at / kw) * dh, (at % kw) * dw];
    const seen = graph.node("Slice", [framed, ints(graph, [i, j]), ints(graph, [i + (rows - 1) * sh + 1, j + (columns - 1) * sw + 1]), ints(graph, [1, 2]), ints(graph, [sh, sw])], { datatype, shape: [batch, rows, columns, channels] });
    return gemm(graph, upstream, reshapeTo(graph, seen, ints(graph, [-1, channels]), [pixels, channels])); // [O, C]
  });
  if (parts.length === 1 && parts[0] !== undefined) return reshapeTo(graph, parts[0], ints(graph, [outputs, channels, 1, 1]), w.shape);
  const joined = graph.node("Concat", parts, { datatype, shape: [outputs, kh * kw * channels] }, { axis: 1 });
  const apart = reshapeTo(graph, joined, ints(graph, [outputs, kh, kw, channels]), [outputs, kh, kw, channels]);
  return graph.node("Transpose", [apart], { datatype, shape: w.shape }, { perm: [0, 3, 1, 2] });
}
