import { randomStream, type RandomStream } from "@servable/nn";
import { valueAt, type ParameterValue } from "../parameter.ts";
import type { Assignment, SearchSpace } from "../search-space.ts";
import type { Sampler } from "./sampler.ts";

/** Draws each parameter that counts uniformly from its range, or uniformly in its logarithm. */
export function randomSampler(): Sampler {
  return ({ space, seed, number }) => randomAssignment(space, randomStream(seed, `random/${number}`));
}

/** One uniform draw from a space. */
export function randomAssignment(space: SearchSpace, stream: Pick<RandomStream, "uniform">): Assignment {
  const values: Record<string, ParameterValue> = {};
  for (const parameter of space.parameters) {
    // Drawn although it may not count: whether a parent changed must not shift the draws of the others.
    const share = stream.uniform();
    if (space.isActive(parameter, values)) values[parameter.name] = valueAt(parameter, share);
  }
  return values;
}
