// onnxruntime-node's public `run` waits for a macrotask and copies its arguments into new objects: 8 µs of a step that may take
// 300. Its binding underneath is synchronous, as training is: the thread has nothing else to do. The version is pinned.

import { createRequire } from "node:module";
import { StatusError } from "@servable/errors";
import ort from "onnxruntime-node";

/** Tensors by the names of inputs or outputs. */
export type OrtTensors = Record<string, ort.Tensor>;

/** A model that runs at once, without a promise. */
export interface OrtSession {
  /**
   * Outputs whose tensor is given are written there; the others are new. Only those named are computed.
   *
   * @throws StatusError `INFERENCE_FAILED`, `ENGINE_OUT_OF_MEMORY`
   */
  run(inputs: OrtTensors, outputs: Readonly<Record<string, ort.Tensor | null>>): OrtTensors;
  release(): void;
}

/** Settings of a session. */
export interface OrtSessionOptions {
  readonly threads: number;
  /** Nodes of the model: large ones are not optimised, which would take longer than it saves. */
  readonly nodeCount: number;
}

/** From here on onnxruntime's optimisers take seconds (10,161 nodes: 7.3 s against 0.9). */
export const UNOPTIMIZED_NODES_MIN = 3_000;

interface Binding {
  readonly InferenceSession: new () => NativeSession;
}

interface NativeSession {
  loadModel(buffer: ArrayBufferLike, byteOffset: number, byteLength: number, options: ort.InferenceSession.SessionOptions): void;
  run(feeds: OrtTensors, fetches: Readonly<Record<string, ort.Tensor | null>>, options: object): OrtTensors;
  dispose(): void;
}

const { binding, initOrt } = createRequire(import.meta.url)("onnxruntime-node/dist/binding.js") as { binding: Binding; initOrt: () => void };

/** Loads a model. @throws Error of onnxruntime when it does not accept the model */
export function createOrtSession(model: Uint8Array, { threads, nodeCount }: OrtSessionOptions): OrtSession {
  initOrt();
  const session = new binding.InferenceSession();
  session.loadModel(model.buffer, model.byteOffset, model.byteLength, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: "sequential",
    // "all" adds layout changes around convolutions that cost more than they save where weights change every step.
    graphOptimizationLevel: nodeCount >= UNOPTIMIZED_NODES_MIN ? "disabled" : "extended",
    logSeverityLevel: 3,
    // Several threads that sleep between kernels cost a convolutional step a fifth; a single one has nothing to wait for.
    extra: { session: { intra_op: { allow_spinning: threads > 1 ? "1" : "0" } } },
  });
  return {
    run(inputs, outputs) {
      try {
        return session.run(inputs, outputs, {});
      } catch (error) {
        throw failure(error as Error);
      }
    },
    release: () => session.dispose(),
  };
}

function failure(error: Error): StatusError {
  const message = error.message.slice(0, 500);
  if (/Failed to allocate memory|bad_alloc/.test(message)) return new StatusError("ENGINE_OUT_OF_MEMORY", `the batch needs more memory than there is: make it smaller, and accumulate several (onnxruntime: ${message})`, { cause: error });
  return new StatusError("INFERENCE_FAILED", `the batch cannot be computed; is an id or a label outside its range? (onnxruntime: ${message})`, { cause: error });
}
