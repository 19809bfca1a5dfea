export { gradients, isDifferentiablePath } from "./gradients.ts";
export { RULES } from "./rules/index.ts";
