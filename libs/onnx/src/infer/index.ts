import type { InferRule } from "./inference.ts";
import { ELEMENTWISE_TYPES } from "./elementwise.ts";
import { FUSED_TYPES } from "./fused.ts";
import { PRODUCT_TYPES } from "./products.ts";
import { REDUCTION_TYPES } from "./reductions.ts";
import { RECURRENT_TYPES } from "./recurrent.ts";
import { SHAPE_TYPES } from "./shape-ops.ts";

/** Operator → types of its outputs. A graph with an operator that is not here cannot be imported. */
export const TYPES: Readonly<Record<string, InferRule>> = { ...ELEMENTWISE_TYPES, ...REDUCTION_TYPES, ...PRODUCT_TYPES, ...SHAPE_TYPES, ...RECURRENT_TYPES, ...FUSED_TYPES };
