import type { ModelWeight } from "./weight-roles.ts";
import { chosen, matches } from "./name-patterns.ts";

/** Which weights of a model are trained, by patterns of names: `*` stands for anything. */
export interface WeightSelection {
  /** @default every weight that was learned */
  readonly train?: readonly string[];
  /** Stays as it is, also where `train` fits. @default none */
  readonly freeze?: readonly string[];
}

/**
 * The names of the weights to train. Patterns choose among learned weights; a pattern that fits none of them may name any
 * other FP32 constant, e.g. a table of positions that the graph adds.
 *
 * @throws GraphError for a pattern that fits nothing
 */
export function selectWeights(weights: ReadonlyMap<string, ModelWeight>, { train = ["*"], freeze = [] }: WeightSelection): Set<string> {
  const all = [...weights.values()].filter(({ statistic }) => !statistic);
  const learned = all.filter((weight) => weight.learned).map(({ name }) => name);
  const names = all.map(({ name }) => name);
  const trained = new Set(train.flatMap((pattern) => {
    const among = learned.filter((name) => matches(pattern, name));
    return among.length > 0 ? among : [...chosen(names, [pattern], "train")];
  }));
  const frozen = chosen([...weights.keys()], freeze, "freeze");
  return new Set([...trained].filter((name) => !frozen.has(name)));
}
