export { glorotUniform, heUniform } from "./initializers.ts";
export { linear } from "./linear.ts";
export { binaryCrossEntropy, softmaxCrossEntropy } from "./losses.ts";
export { initMlp, mlp, type MlpShape, type Parameter } from "./models/mlp.ts";
export { randomStream, type RandomStream } from "./random.ts";
export { Scope, type BufferSpec, type Initializer, type MaskSpec, type Mode, type Network, type NetworkOutputs, type ParameterOptions, type ParameterSpec, type ScopeOptions } from "./scope.ts";
