import { GraphError } from "@servable/onnx";
import { RULES } from "./rules/index.ts";

/** What to do about operators that cannot be differentiated as they stand. */
const INSTEAD: Readonly<Record<string, string>> = {
  If: "differentiate the branch that is taken: fold a constant condition before",
  Loop: "unroll a loop of a constant number of turns before (@servable/passes)",
  Scan: "unroll it before (@servable/passes)",
  LSTM: "unroll it over time before (@servable/passes)",
  GRU: "unroll it over time before (@servable/passes)",
  RNN: "unroll it over time before (@servable/passes)",
};

/** The error of an operator without a rule: names it, its node, and what is supported. */
export function noRule(operator: string, where: string): GraphError {
  const instead = INSTEAD[operator];
  if (instead !== undefined) return new GraphError(`${operator} has no gradient rule ("${where}"): ${instead}`);
  const close = Object.keys(RULES).filter((name) => name.split("::").at(-1)?.[0] === operator.split("::").at(-1)?.[0]).sort();
  return new GraphError(`${operator} has no gradient rule ("${where}"): ${Object.keys(RULES).length} operators have one, see libs/autodiff/README.md${close.length === 0 ? "" : `; with the same first letter: ${close.join(", ")}`}`);
}
