import type { EarlyStoppingState } from "@servable/optim";
import type { CursorState } from "./batch-cursor.ts";

/** Where a loop stands, beside what the trainer keeps; JSON. Two loops of the same state and trainer do the same. */
export interface LoopState {
  /** Optimiser steps done. */
  readonly step: number;
  readonly cursor: CursorState;
  /** Factor of the learning rate after rollbacks. */
  readonly rateFactor: number;
  readonly rollbackCount: number;
  readonly earlyStopping: EarlyStoppingState | undefined;
  /** Step of the best weights; 0 = none yet. */
  readonly bestStep: number;
  /** What was last measured on the validation rows. */
  readonly validation: Readonly<Record<string, number>> | undefined;
}

/** Before the first step. */
export const LOOP_START: LoopState = { step: 0, cursor: { epoch: 1, offset: 0 }, rateFactor: 1, rollbackCount: 0, earlyStopping: undefined, bestStep: 0, validation: undefined };
