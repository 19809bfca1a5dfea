export { createAdam, type AdamOptions } from "./adam.ts";
export { type Optimizer } from "./optimizer.ts";
export { createSgd, type SgdOptions } from "./sgd.ts";
