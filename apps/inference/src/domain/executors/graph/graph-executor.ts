import { StatusError } from "@servable/errors";
import type { Tensor } from "@servable/tensor";
import { PipelineTimings, callStep, inPipeline, renamed } from "../call-step.ts";
import { withSignal, type Executor, type InferContext, type InferRequest, type InferResult } from "../executor.ts";
import { stepTypesOf, type StepModel, type StepReference } from "../pipeline-models.ts";
import type { GraphWrites } from "./check-graph.ts";
import { chooseBranch } from "./choose-branch.ts";
import type { GraphNode, ModelNode, TaskNode } from "./graph-node.ts";
import type { GraphSteps } from "./graph-steps.ts";
import { holds } from "./holds.ts";

/** What a graph stands on. */
export interface GraphExecutorOptions {
  readonly name: string;
  readonly root: GraphNode;
  readonly writes: GraphWrites;
  /** The graph's outputs. */
  readonly outputs: readonly string[];
  /** The serving model of a node. */
  readonly modelOf: (reference: StepReference) => StepModel;
  /** Runs the steps before and behind models. */
  readonly steps: GraphSteps;
  /** Draws from [0, 1): for splitters without a seed. */
  readonly random: () => number;
}

type Tensors = ReadonlyMap<string, Tensor>;

interface Run {
  readonly request: InferRequest;
  readonly context: InferContext;
  readonly timings: PipelineTimings;
}

/** Answers requests by the nodes of a typed graph. Tensors are handed on by reference. */
export class GraphExecutor implements Executor {
  readonly #options: GraphExecutorOptions;
  readonly pids: readonly number[] = [];
  readonly restartCount = 0;
  readonly queueLength = 0;

  constructor(options: GraphExecutorOptions) {
    this.#options = options;
  }

  async infer(request: InferRequest, context: InferContext): Promise<InferResult> {
    const { root, outputs } = this.#options;
    const given = new Map<string, Tensor>(request.inputs.map((tensor) => [tensor.name, tensor]));
    const timings = new PipelineTimings();
    const tensors = new Map([...given, ...(await this.#run(root, given, { request, context, timings }))]);
    const names = request.outputs.length > 0 ? request.outputs : outputs;
    return { outputs: names.map((name) => renamed(name, tensors.get(name) as Tensor)), timings: timings.total(request.batchSize) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(); // The models belong to themselves.
  }

  /** What a node writes. */
  async #run(node: GraphNode, given: Tensors, run: Run): Promise<Tensors> {
    if (run.context.signal.aborted) throw StatusError.from(run.context.signal.reason);
    switch (node.kind) {
      case "model":
        return this.#runModel(node, given, run);
      case "task":
        return this.#runTask(node, given, run);
      case "sequence": {
        const written = new Map<string, Tensor>();
        for (const each of node.nodes) for (const [name, tensor] of await this.#run(each, new Map([...given, ...written]), run)) written.set(name, tensor);
        return written;
      }
      case "ensemble":
        return this.#runBeside(node.nodes, given, run);
      case "switch": {
        const branch = node.cases.find(({ when }) => holds(when, given, run.request))?.then ?? node.otherwise;
        if (branch === undefined) throw new StatusError("GRAPH_CASE_MISSING", `graph '${this.#options.name}': the request fits no case of ${node.at}, and there is no otherwise`, { metadata: { node: node.at } });
        return this.#only(node, await this.#run(branch, given, run));
      }
      case "splitter":
        return this.#only(node, await this.#run(chooseBranch(node, run.request, this.#options.random).then, given, run));
      default: {
        const never: never = node;
        return never;
      }
    }
  }

  async #runTask(node: TaskNode, given: Tensors, { context }: Run): Promise<Tensors> {
    const { name, steps } = this.#options;
    try {
      const written = await steps.run(node, given.get(node.from) as Tensor, context);
      return new Map(written.flatMap((tensor) => (node.to === undefined ? [[tensor.name, tensor] as const] : node.to.has(tensor.name) ? [[node.to.get(tensor.name) as string, tensor] as const] : [])));
    } catch (error) {
      throw inPipeline(`graph '${name}'`, error);
    }
  }

  /** The first failure cancels the others. */
  async #runBeside(nodes: readonly GraphNode[], given: Tensors, run: Run): Promise<Tensors> {
    const failed = new AbortController();
    const context = withSignal(run.context, AbortSignal.any([run.context.signal, failed.signal]));
    const running = nodes.map((node) => this.#run(node, given, { ...run, context }));
    try {
      return new Map((await Promise.all(running)).flatMap((written) => [...written]));
    } catch (error) {
      failed.abort();
      await Promise.allSettled(running);
      throw error;
    }
  }

  async #runModel(node: ModelNode, given: Tensors, { request, context, timings }: Run): Promise<Tensors> {
    const { name, modelOf } = this.#options;
    const model = modelOf(node);
    const inputs = stepTypesOf(model).inputs.flatMap((input) => {
      const tensor = given.get(node.inputs.get(input.name) ?? input.name);
      return tensor === undefined ? [] : [renamed(input.name, tensor)];
    });
    const result = await callStep({ pipeline: `graph '${name}'`, model, inputs, outputs: node.outputs === undefined ? [] : [...node.outputs.keys()], request }, context);
    timings.add(result.timings);
    return new Map(result.outputs.map((output) => [node.outputs?.get(output.name) ?? output.name, output]));
  }

  /** What only one branch writes is not there behind the branches. */
  #only(node: GraphNode, written: Tensors): Tensors {
    const names = this.#options.writes.get(node);
    return new Map([...written].filter(([name]) => names?.has(name) === true));
  }
}
