export { adam, adamW, type AdamOptions, type AdamWOptions } from "./adam.ts";
export { Arena, type ArenaOptions, type ArenaStep, type ArenaTensor } from "./arena.ts";
export { type Optimizer, type PenaltyOptions, type StepContext } from "./optimizer.ts";
export { referenceOptimizer, type ReferenceOptimizer } from "./reference-optimizer.ts";
export { sgd, type SgdOptions } from "./sgd.ts";
export { earlyStopping, plateau, type EarlyStopping, type EarlyStoppingOptions, type EarlyStoppingState, type Plateau, type PlateauOptions, type PlateauState, type WatchOptions } from "./plateau.ts";
export { randomMasks, referenceMask, type MaskSize, type RandomMasks } from "./random-mask.ts";
export { constantSchedule, cosineSchedule, linearSchedule, oneCycleSchedule, stepSchedule, warmUp, type OneCycleOptions, type Schedule } from "./schedules.ts";
