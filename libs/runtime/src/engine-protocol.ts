import type { TensorHeader } from "./frame.ts";

/** How a session is made. */
export interface SessionSettings {
  /** Path of the ONNX file. */
  readonly path: string;
  /** Threads of one operator. */
  readonly intraOpThreads: number;
  /** Threads that run operators side by side; 1 = one after the other. */
  readonly interOpThreads: number;
  /** In the order of preference, e.g. ["cuda", "cpu"]. */
  readonly executionProviders: readonly string[];
  readonly graphOptimizationLevel: "disabled" | "basic" | "extended" | "all";
  /** Weights in the layout that kernels like best: faster, and a private copy for each instance. */
  readonly prepacking: boolean;
  /** Keeps freed memory for the next run. */
  readonly memoryArena: boolean;
  /** Bytes that the outputs of one run may have together. */
  readonly outputBytesMax: number;
}

/** What the service asks. */
export type EngineRequest =
  | { readonly op: "load"; readonly session: SessionSettings }
  | { readonly op: "run"; readonly inputs: readonly TensorHeader[]; readonly outputs: readonly string[]; readonly deadlineMs?: number };

/** What the engine answers. */
export type EngineResponse =
  | { readonly ok: true; readonly outputs?: readonly TensorHeader[]; readonly ns?: readonly [input: number, infer: number, output: number] }
  | { readonly ok: false; readonly reason: string; readonly message: string };
