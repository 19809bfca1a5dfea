/** Sizes that transformers have in common. */
export interface TransformerDimensions {
  readonly vocabulary: number;
  readonly layers: number;
  /** Width of the stream between layers. */
  readonly width: number;
  readonly heads: number;
  /** Positions that the model knows. */
  readonly positions: number;
  /** Dropout of embeddings, attention and layers. @default 0 */
  readonly dropout?: number;
}
