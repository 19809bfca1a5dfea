import type { Network } from "@servable/nn";
import type { Value } from "@servable/onnx";
import type { Datatype, Tensor } from "@servable/tensor";
import type ort from "onnxruntime-node";
import { invalid, ortTensorOf } from "./network-signature.ts";
import type { NetworkState } from "./network-state.ts";
import { createOrtSession, type OrtSession, type OrtTensors } from "./ort-session.ts";
import { buildEvaluationGraph, type EvaluationGraph } from "./training-graph.ts";
import type { Evaluation, Feeds } from "./trainer.ts";

const DATATYPES: Readonly<Partial<Record<ort.Tensor.Type, Datatype>>> = { float32: "FP32", float64: "FP64", int32: "INT32", int64: "INT64", bool: "BOOL", uint8: "UINT8", int8: "INT8" };

/** What a plan is made for. */
export interface EvaluationPlanOptions {
  readonly network: Network;
  readonly state: NetworkState;
  readonly inputs: readonly Value[];
  readonly dimensions: Readonly<Record<string, number>>;
  readonly threads: number;
}

/** Forward pass for batches of one size. */
export class EvaluationPlan {
  readonly #graph: EvaluationGraph;
  readonly #session: OrtSession;
  readonly #inputs: readonly Value[];
  readonly #feeds: OrtTensors;

  /** @throws StatusError `NETWORK_INVALID` */
  constructor({ network, state, inputs, dimensions, threads }: EvaluationPlanOptions) {
    this.#graph = buildEvaluationGraph(network, dimensions);
    this.#inputs = inputs;
    this.#feeds = state.evaluationInputs();
    try {
      this.#session = createOrtSession(this.#graph.model, { threads, nodeCount: this.#graph.nodeCount });
    } catch (error) {
      throw invalid(`onnxruntime does not accept its graph: ${(error as Error).message.slice(0, 500)}`, error);
    }
  }

  run(batch: Feeds): Evaluation {
    for (const input of this.#inputs) this.#feeds[input.name] = ortTensorOf(input, batch[input.name] as Feeds[string]);
    const { loss, outputs } = this.#graph;
    const results = this.#session.run(this.#feeds, Object.fromEntries([loss, ...outputs.values()].map((name) => [name, null])));
    return {
      loss: (results[loss]?.data as Float32Array)[0] as number,
      outputs: Object.fromEntries([...outputs].map(([name, output]) => [name, tensorOf(name, results[output] as ort.Tensor)])),
    };
  }

  release(): void {
    this.#session.release();
  }
}

function tensorOf(name: string, { type, dims, data }: ort.Tensor): Tensor {
  const datatype = DATATYPES[type];
  if (datatype === undefined) throw invalid(`its output "${name}" is ${type}; cast it to one of ${Object.keys(DATATYPES).join(", ")}`);
  const { buffer, byteOffset, byteLength } = data as Uint8Array;
  return { datatype, shape: [...dims], data: new Uint8Array(buffer, byteOffset, byteLength) };
}
