import { div, reshape, type Graph, type Value } from "@servable/onnx";

/** Largest value of a pixel: raw pixels are 0 to 255. */
export const PIXEL_MAX = 255;

/**
 * Adds the input `image` of raw pixels and the nodes that scale and flatten it.
 *
 * Input: f32 [batch, height, width, channels], 0 to 255. Output: f32 [batch, height·width·channels], 0 to 1.
 */
export function imageInput(graph: Graph, shape: readonly number[]): Value {
  const image = graph.input("image", "FP32", ["batch", ...shape]);
  const scaled = div(graph, image, graph.constant("FP32", [], [PIXEL_MAX]));
  return reshape(graph, scaled, ["batch", shape.reduce((product, size) => product * size, 1)]);
}
