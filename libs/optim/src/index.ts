export { adam, adamW, type AdamOptions, type AdamWOptions } from "./adam.ts";
export { Arena, type ArenaOptions, type ArenaStep, type ArenaTensor } from "./arena.ts";
export { type Optimizer, type PenaltyOptions, type StepContext } from "./optimizer.ts";
export { referenceOptimizer, type ReferenceOptimizer } from "./reference-optimizer.ts";
export { sgd, type SgdOptions } from "./sgd.ts";
