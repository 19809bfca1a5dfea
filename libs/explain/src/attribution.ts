/** How much each element of one input adds to the explained output, in the output's units. */
export interface Attribution {
  readonly input: string;
  /** Shape of the input, one element's batch dimension included where it has one. */
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

/** An explanation of one number that a model gave. */
export interface Explanation {
  readonly attributions: readonly Attribution[];
  /** f(x): the explained output for the input in question. */
  readonly prediction: number;
  /** f(baseline): the same for an input that says nothing. */
  readonly baselinePrediction: number;
  /** |Σ attributions - (f(x) - f(baseline))|: how much of the difference is not accounted for, or twice. */
  readonly completenessError: number;
  /** Points of the path, or examples that the model was asked. */
  readonly evaluations: number;
}

/** The axiom that attributions add up to the difference of predictions: by how much they miss it (Sundararajan et al., 2017, proposition 1). */
export function completenessError(attributions: readonly Attribution[], prediction: number, baselinePrediction: number): number {
  const sum = attributions.reduce((total, { values }) => values.reduce((partial, value) => partial + value, total), 0);
  return Math.abs(sum - (prediction - baselinePrediction));
}
