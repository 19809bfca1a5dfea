// A configuration may show callers other shapes than the graph has (`reshape`), and fewer outputs. Neither touches a byte: the
// shapes are written anew on the way in and out, and the outputs that callers do not see are not asked for.

import type { ModelConfig, ModelInput, ModelOutput } from "@servable/contracts/open-inference/model_config";
import type { NamedTensor } from "@servable/runtime";
import type { Executor, InferContext, InferRequest, InferResult } from "./executor.ts";
import type { Signature } from "../config/signature.ts";
import { WrappedExecutor } from "./wrapped-executor.ts";

/** An executor that speaks the configuration's shapes over one that speaks the graph's; the same one where they agree. */
export function withConfiguredShapes(executor: Executor, config: ModelConfig, graph: Signature): Executor {
  const isReshaped = [...config.input, ...config.output].some(({ reshape }) => reshape !== undefined);
  // States of sequences are outputs too, which their executor adds itself.
  const showsLess = config.schedulingChoice.case !== "sequenceBatching" && config.output.length < graph.outputs.length;
  return isReshaped || showsLess ? new ReshapingExecutor(executor, config, showsLess) : executor;
}

type Reshape = { readonly from: readonly number[]; readonly to: readonly number[] };

class ReshapingExecutor extends WrappedExecutor {
  readonly inferStream?: NonNullable<Executor["inferStream"]>;
  readonly #inputs: ReadonlyMap<string, Reshape>;
  readonly #outputs: ReadonlyMap<string, Reshape>;
  /** What callers get who name no outputs; empty = all. */
  readonly #shown: readonly string[];

  constructor(inner: Executor, config: ModelConfig, showsLess: boolean) {
    super(inner);
    const isBatched = config.maxBatchSize > 0;
    this.#inputs = reshapes(config.input, isBatched, ({ caller, graph }) => ({ from: caller, to: graph }));
    this.#outputs = reshapes(config.output, isBatched, ({ caller, graph }) => ({ from: graph, to: caller }));
    this.#shown = showsLess ? config.output.map(({ name }) => name) : [];
    if (inner.inferStream !== undefined) this.inferStream = (request, context) => this.#stream(request, context);
  }

  async infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    return this.#outward(await this.inner.infer(this.#inward(request), context));
  }

  async *#stream(request: InferRequest, context: InferContext): AsyncGenerator<InferResult> {
    for await (const result of this.inner.inferStream?.(this.#inward(request), context) ?? []) yield this.#outward(result);
  }

  #inward(request: InferRequest): InferRequest {
    return { ...request, inputs: request.inputs.map((tensor) => reshaped(tensor, this.#inputs.get(tensor.name))), outputs: request.outputs.length === 0 ? this.#shown : request.outputs };
  }

  #outward(result: InferResult): InferResult {
    return { ...result, outputs: result.outputs.map((tensor) => reshaped(tensor, this.#outputs.get(tensor.name))) };
  }
}

function reshapes(tensors: readonly (ModelInput | ModelOutput)[], isBatched: boolean, direction: (shapes: { caller: number[]; graph: number[] }) => Reshape): Map<string, Reshape> {
  const batch = isBatched ? [-1] : [];
  return new Map(
    tensors.flatMap(({ name, dims, reshape }) => (reshape === undefined ? [] : [[name, direction({ caller: [...batch, ...dims.map(Number)], graph: [...batch, ...reshape.shape.map(Number)] })]])),
  );
}

/** The sizes that vary keep their order: the check of the configuration has seen that as many stand on either side. */
function reshaped(tensor: NamedTensor, reshape: Reshape | undefined): NamedTensor {
  if (reshape === undefined || tensor.shape.length !== reshape.from.length) return tensor;
  const varying = tensor.shape.filter((_, axis) => reshape.from[axis] === -1);
  let next = 0;
  return { ...tensor, shape: reshape.to.map((size) => (size === -1 ? (varying[next++] ?? 1) : size)) };
}
