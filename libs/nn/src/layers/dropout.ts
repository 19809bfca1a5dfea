import { GraphError, mul, type Value } from "@servable/onnx";
import type { Scope } from "../scope.ts";

/**
 * Zeros with chance `rate` while training, the others scaled by 1/(1-rate); x itself otherwise.
 *
 * The mask is an input that the trainer draws for each step by a counter: onnxruntime's own Dropout would begin anew in every
 * session. Source: Srivastava et al., Dropout (2014).
 *
 * @param name of the mask within the scope; two dropouts of one scope need two names
 */
export function dropout(nn: Scope, x: Value, rate: number, name = "dropout"): Value {
  if (!(rate >= 0 && rate < 1)) throw new GraphError(`dropout of ${rate}: the rate must be from 0 to below 1`);
  return nn.mode !== "train" || rate === 0 ? x : mul(nn.graph, x, nn.mask(name, x.shape, rate));
}
