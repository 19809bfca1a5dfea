import type { Graph, Value } from "@servable/onnx";
import type { ColumnData } from "./column-data.ts";

/**
 * A column as features, with what was learned of it from the training rows. It exists twice, as numbers for training and as
 * nodes for the exported model; tests hold the two against each other.
 */
export interface Feature {
  readonly column: string;
  /** Names of the numbers it turns into, e.g. `island=Dream`; as many as it is wide. */
  readonly names: readonly string[];
  /** Writes the numbers of each row, for a column of the same data set. */
  encoder(data: ColumnData): (row: number, target: Float32Array, offset: number) => void;
  /** Adds the model's input for the raw column; called for all columns before any {@link Feature.nodes}. */
  input(graph: Graph): Value;
  /** Adds the nodes. input: [batch, 1] → f32 [batch, width]. */
  nodes(graph: Graph, input: Value): Value;
}

/** A feature, or why the column says nothing and is left out. */
export type FittedFeature = { readonly feature: Feature } | { readonly dropped: string };
