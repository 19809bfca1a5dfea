import type { Datatype } from "@servable/tensor";

/** Header of an input or output. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** Dimensions; -1 = variable. */
  readonly shape: readonly number[];
  /** The graph's names of variable dimensions, "" where it has none. */
  readonly dimensionNames?: readonly string[];
}

/** What a version takes and gives. */
export interface Signature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}
