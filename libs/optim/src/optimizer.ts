/** Updates parameters in place. */
export interface Optimizer {
  /** One step: `gradients` and `parameters` are as long as each other; state is kept inside. */
  step(parameters: Float32Array, gradients: Float32Array): void;
}
