import type { Value } from "@servable/onnx";
import { indicesAlong } from "../nodes.ts";
import type { Scope } from "../scope.ts";

/**
 * 0, 1, 2, … along an axis of another value: INT64 [sequence]. A constant where the size is known, else nodes that ask for it
 * when the graph runs.
 */
export const positionsOf = ({ graph }: Scope, like: Value, axis: number): Value => indicesAlong(graph, like, axis);
