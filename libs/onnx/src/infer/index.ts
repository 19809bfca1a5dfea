import type { InferRule } from "./inference.ts";
import { ELEMENTWISE_TYPES } from "./elementwise.ts";
import { FUSED_TYPES } from "./fused.ts";
import { PRODUCT_TYPES } from "./products.ts";
import { QUANTIZED_TYPES } from "./quantized.ts";
import { RECURRENT_TYPES } from "./recurrent.ts";
import { REDUCTION_TYPES } from "./reductions.ts";
import { SELECTION_TYPES } from "./selection.ts";
import { SHAPE_TYPES } from "./shape-ops.ts";
import { SIGNAL_TYPES } from "./signals.ts";

/** Operator → types of its outputs. A graph with an operator that is not here cannot be imported. */
export const TYPES: Readonly<Record<string, InferRule>> = { ...ELEMENTWISE_TYPES, ...REDUCTION_TYPES, ...PRODUCT_TYPES, ...SHAPE_TYPES, ...FUSED_TYPES, ...RECURRENT_TYPES, ...QUANTIZED_TYPES, ...SELECTION_TYPES, ...SIGNAL_TYPES };
