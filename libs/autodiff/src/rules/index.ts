import { ACTIVATIONS } from "./activation.ts";
import { ATTENTION } from "./attention.ts";
import { CONV } from "./conv.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { INDEXING } from "./indexing.ts";
import { LOSSES } from "./loss.ts";
import { MATMUL } from "./matmul.ts";
import { NORMALIZATIONS } from "./normalization.ts";
import { POOL } from "./pool.ts";
import { REDUCTIONS } from "./reduction.ts";
import { RESIZE } from "./resize.ts";
import type { Rule } from "./rule.ts";
import { SHAPE } from "./shape.ts";

/** The one table: ONNX operator → local gradient. An operator that is not here cannot be differentiated. */
export const RULES: Readonly<Record<string, Rule>> = { ...ELEMENTWISE, ...ACTIVATIONS, ...MATMUL, ...CONV, ...POOL, ...REDUCTIONS, ...NORMALIZATIONS, ...INDEXING, ...SHAPE, ...RESIZE, ...ATTENTION, ...LOSSES };

/** Operators whose rules take the gradients of all outputs. */
export const MULTIPLE_OUTPUTS: ReadonlySet<string> = new Set(["Split", "com.microsoft::SkipLayerNormalization", "com.microsoft::SkipSimplifiedLayerNormalization"]);
