import { StatusError } from "@servable/errors";
import { lastValueOf, stepOf, type Parameter, type ParameterValue } from "../parameter.ts";
import type { Assignment, SearchSpace } from "../search-space.ts";
import type { Sampler } from "./sampler.ts";

/** Points of a grid: nobody waits for the end of a larger one. */
export const GRID_POINTS_MAX = 100_000;

/** Settings of a grid. */
export interface GridOptions {
  /** Values of a float without a step, spread evenly over its range or its logarithm, ends included. @default 5 */
  readonly pointsPerFloat?: number;
}

/** Tries every combination once, the last parameter fastest; then answers undefined. @throws StatusError `FIELD_INVALID` when there are more than {@link GRID_POINTS_MAX} */
export function gridSampler(options: GridOptions = {}): Sampler {
  return ({ space, number }) => gridOf(space, options)[number];
}

/** All points of a space's grid. @throws StatusError `FIELD_INVALID` when there are more than {@link GRID_POINTS_MAX} */
export function gridOf(space: SearchSpace, { pointsPerFloat = 5 }: GridOptions = {}): Assignment[] {
  let points: Record<string, ParameterValue>[] = [{}];
  for (const parameter of space.parameters) {
    const values = valuesOf(parameter, pointsPerFloat);
    const active = points.filter((point) => space.isActive(parameter, point)).length;
    if (points.length - active + active * values.length > GRID_POINTS_MAX) {
      throw new StatusError("FIELD_INVALID", `the grid has more than ${GRID_POINTS_MAX} points at parameter "${parameter.name}": give it a step, fewer choices, or use another sampler`, {
        metadata: { field: "parameters", parameter: parameter.name },
      });
    }
    points = points.flatMap((point) => (space.isActive(parameter, point) ? values.map((value) => ({ ...point, [parameter.name]: value })) : [point]));
  }
  return points;
}

function valuesOf(parameter: Parameter, pointsPerFloat: number): readonly ParameterValue[] {
  if (parameter.kind === "categorical") return parameter.choices;
  const { low, high, log = false } = parameter;
  if (low === high) return [low];
  const step = stepOf(parameter);
  if (step > 0 && !log) {
    const count = Math.round((lastValueOf(parameter) - low) / step) + 1;
    // One above the bound is enough to be refused, and is not a list of a billion numbers.
    return Array.from({ length: Math.min(count, GRID_POINTS_MAX + 1) }, (_, index) => Math.min(high, low + index * step));
  }
  const spread = Array.from({ length: pointsPerFloat }, (_, index) => {
    const share = pointsPerFloat === 1 ? 0.5 : index / (pointsPerFloat - 1);
    const value = log ? Math.exp(Math.log(low) + share * (Math.log(high) - Math.log(low))) : low + share * (high - low);
    return Math.min(high, Math.max(low, parameter.kind === "int" ? Math.round(value) : value));
  });
  return [...new Set(spread)];
}
