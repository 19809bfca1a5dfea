import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import { EnsembleExecutor, INFLIGHT_MAX_DEFAULT } from "./ensemble-executor.ts";
import { ensembleReferences, planEnsemble } from "./ensemble-plan.ts";
import type { Executor } from "./executor.ts";
import { checkGraph } from "./graph/check-graph.ts";
import { GraphExecutor } from "./graph/graph-executor.ts";
import { modelNodesOf } from "./graph/graph-node.ts";
import { createGraphSteps } from "./graph/graph-steps.ts";
import { graphOf } from "./graph/parse-graph.ts";
import type { VersionSpec } from "../repository/loaded-model.ts";
import { clientSignatureOf } from "../config/model-config.ts";
import { isGraph, isPipeline } from "../config/pipeline-config.ts";
import { awaitStepModels, stepModelOf, type PipelineModels, type StepModel, type StepReference } from "./pipeline-models.ts";
import type { TaskDeps } from "../tasks/task-model.ts";

/**
 * Makes what answers the requests of a pipeline, once the models that it names serve.
 *
 * @throws StatusError `STEP_NOT_READY` naming the model that is missing, `FIELD_INVALID` for what does not fit
 */
export async function createPipelineExecutor({ name, config, deployment }: VersionSpec, models: PipelineModels, tasks: TaskDeps): Promise<Executor> {
  const project = deployment.split("/")[1] ?? "";
  const asGraph = isGraph(config);
  const pipeline = `${asGraph ? "graph" : "ensemble"} '${name}'`;
  const modelOf = (reference: StepReference): StepModel => stepModelOf(pipeline, project, reference, models);
  const root = asGraph ? graphOf(config) : undefined;
  const references = referencesOf(config);
  refuseCircle(pipeline, project, [name], references, models);
  await awaitStepModels(pipeline, project, references, models);
  const signature = clientSignatureOf(config);
  const outputs = signature.outputs.map((spec) => spec.name);
  if (root !== undefined) {
    const steps = createGraphSteps(project, tasks);
    const writes = await inGraph(name, async () => {
      const nodes = modelNodesOf(root).filter((node) => node.kind === "task");
      const types = new Map(await Promise.all(nodes.map(async (node) => [node, await steps.typeOf(node)] as const)));
      return checkGraph(root, signature.inputs, signature.outputs, modelOf, types);
    });
    return new GraphExecutor({ name, root, writes, outputs, modelOf, steps, random: Math.random });
  }
  return new EnsembleExecutor({ name, steps: planEnsemble(config, modelOf), outputs, modelOf, inflightMax: inflightMaxOf(config) });
}

/** The models that a pipeline calls; none for other models. @throws StatusError `FIELD_INVALID` */
export function referencesOf(config: ModelConfig): StepReference[] {
  if (!isPipeline(config)) return [];
  return isGraph(config) ? modelNodesOf(graphOf(config)) : ensembleReferences(config);
}

/** A pipeline that calls itself through others would wait for itself for ever. */
function refuseCircle(pipeline: string, project: string, path: readonly string[], references: readonly StepReference[], models: PipelineModels): void {
  for (const { model, version } of references) {
    if (path.includes(model)) throw new StatusError("FIELD_INVALID", `${pipeline} calls itself: ${[...path, model].join(" → ")}`, { metadata: { model } });
    let config: ModelConfig;
    try {
      config = models.resolve(project, model, version).spec.config;
    } catch {
      continue; // One that is not there is named by those who wait for it.
    }
    refuseCircle(pipeline, project, [...path, model], referencesOf(config), models);
  }
}

async function inGraph<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const failure = StatusError.from(error);
    if (failure.reason !== "FIELD_INVALID") throw error;
    throw new StatusError("FIELD_INVALID", `graph '${name}': ${failure.message}`, { metadata: failure.metadata, cause: error });
  }
}

function inflightMaxOf({ schedulingChoice }: ModelConfig): number {
  const asked = schedulingChoice.case === "ensembleScheduling" ? schedulingChoice.value.maxInflightRequests : 0;
  return asked > 0 ? asked : INFLIGHT_MAX_DEFAULT;
}
