import { ELEMENTWISE } from "./elementwise.ts";
import { MATMUL } from "./matmul.ts";
import type { Rule } from "./rule.ts";
import { SHAPE } from "./shape.ts";

/** The one table: ONNX operator → local gradient. An operator that is not here cannot be differentiated. */
export const RULES: Readonly<Record<string, Rule>> = { ...ELEMENTWISE, ...MATMUL, ...SHAPE };
