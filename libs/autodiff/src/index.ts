export type { GradientOptions } from "./backward-walk.ts";
export { gradients, isDifferentiablePath } from "./gradients.ts";
export { parameterGradients, type DenseGradient, type RowGradient } from "./parameter-gradients.ts";
export { RULES } from "./rules/index.ts";
