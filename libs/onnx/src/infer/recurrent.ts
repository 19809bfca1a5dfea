import { intAttribute } from "../attributes.ts";
import { operand, type InferRule } from "./inference.ts";

/** X [steps, batch, inputs], R [directions, gates·hidden, hidden] → Y [steps, directions, batch, hidden], last states [directions, batch, hidden]. */
const recurrent = (states: number): InferRule => (inference) => {
  const [x, r] = [operand(inference, 0), operand(inference, 2)];
  const batchFirst = intAttribute(inference.node, "layout", 0) === 1;
  const [first = 1, second = 1] = x.shape;
  const [steps, batch] = batchFirst ? [second, first] : [first, second];
  const [directions = 1, , hidden = 1] = r.shape;
  const y = batchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden];
  const last = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  return [y, ...Array.from({ length: states }, () => last)].map((shape) => ({ datatype: x.datatype, shape })).slice(0, inference.outputCount);
};

/** Recurrent operators. */
export const RECURRENT_TYPES: Readonly<Record<string, InferRule>> = { RNN: recurrent(1), GRU: recurrent(1), LSTM: recurrent(2) };
