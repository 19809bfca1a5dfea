export { gradients } from "./gradients.ts";
export { RULES } from "./rules/index.ts";
