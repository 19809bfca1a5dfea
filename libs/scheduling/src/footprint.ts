/** A Node process with onnxruntime in it and no model. */
const ENGINE_BYTES = 32 * 1024 ** 2;
/** Weights in memory over weights on disk: onnxruntime keeps them once more in the layout that its kernels like (prepacking). */
const WEIGHTS_FACTOR = 2;

/**
 * What a version will take in memory, guessed from the size of its files before its first load; after that its engines are
 * measured. High rather than low: a model that turns out smaller leaves room, one that turns out larger evicts others.
 */
export function estimateFootprintBytes(artifactBytes: number, instanceCount = 1): number {
  return instanceCount * (ENGINE_BYTES + WEIGHTS_FACTOR * artifactBytes);
}
