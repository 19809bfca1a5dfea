export { glorotUniform, heUniform } from "./initializers.ts";
export { linear } from "./linear.ts";
export { binaryCrossEntropy, softmaxCrossEntropy } from "./losses.ts";
export { initMlp, mlp, type MlpShape, type Parameter } from "./models/mlp.ts";
export { randomStream, type RandomStream } from "./random.ts";
