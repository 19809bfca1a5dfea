export { gradients, isDifferentiablePath } from "./gradients.ts";
export { parameterGradients, type DenseGradient, type RowGradient } from "./parameter-gradients.ts";
export { RULES } from "./rules/index.ts";
