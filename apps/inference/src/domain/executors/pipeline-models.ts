import { StatusError } from "@servable/errors";
import type { InferContext, InferRequest, InferResult } from "./executor.ts";
import type { ModelState, VersionSpec } from "../repository/loaded-model.ts";
import type { TensorSpec } from "../config/signature.ts";
import type { RequestTarget } from "../requests/request-target.ts";

/** A loaded model as a step of a pipeline: its batching, its counters and its drain are its own. */
export interface StepModel {
  readonly spec: VersionSpec;
  readonly target: RequestTarget;
  readonly state: ModelState;
  /** Whether a call is answered, if need be after a load. */
  readonly isServing: boolean;
  readonly message: string;
  infer(request: InferRequest, context: InferContext): Promise<InferResult>;
  inferStream(request: InferRequest, context: InferContext): AsyncIterable<InferResult>;
}

/** The models of this replica, as pipelines see them. */
export interface PipelineModels {
  /** @throws StatusError `MODEL_NOT_FOUND`, `MODEL_NOT_READY` */
  resolve(project: string, name: string, version: string): StepModel;
  /** Resolves at the next change of any model's state. */
  changed(signal: AbortSignal): Promise<void>;
}

/** The model that a step names; "" = the newest version. */
export interface StepReference {
  readonly model: string;
  readonly version: string;
}

/** How long a step's model may take to appear among this replica's models. */
const APPEAR_MS_MAX = 3_000;
/** How long a step's model may take to load. */
const LOAD_MS_MAX = 120_000;

/**
 * Waits until all models of a pipeline serve.
 *
 * @param pipeline its words in messages, e.g. "ensemble 'x'"
 * @throws StatusError `STEP_NOT_READY` naming the model that is missing or cannot be loaded
 */
export async function awaitStepModels(pipeline: string, project: string, references: readonly StepReference[], models: PipelineModels): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const waiting = references.map((reference) => ({ reference, model: find(project, reference, models) })).filter(({ model }) => model?.isServing !== true);
    const [first] = waiting;
    if (first === undefined) return;
    const failed = waiting.find(({ model }) => model?.state === "FAILED");
    if (failed !== undefined) throw notReady(pipeline, failed.reference, `cannot be loaded: ${failed.model?.message ?? ""}`);
    const absent = waiting.find(({ model }) => model === undefined);
    const waitedMs = performance.now() - startedMs;
    const allowedMs = absent === undefined ? LOAD_MS_MAX : APPEAR_MS_MAX;
    if (waitedMs >= allowedMs) throw absent === undefined ? notReady(pipeline, first.reference, "is still being loaded") : notReady(pipeline, absent.reference, "has no loaded version in this replica: deploy it first");
    await models.changed(AbortSignal.timeout(Math.ceil(allowedMs - waitedMs)));
  }
}

/** The serving model of a step. @throws StatusError `STEP_NOT_READY` */
export function stepModelOf(pipeline: string, project: string, reference: StepReference, models: PipelineModels): StepModel {
  const model = find(project, reference, models);
  if (model?.isServing === true) return model;
  throw notReady(pipeline, reference, model === undefined ? "is not loaded" : `is not ready (${model.state})`);
}

/** What a step's model takes and gives, with what it can do without. */
export function stepTypesOf({ target: { signature, optionalInputs } }: StepModel): { readonly inputs: readonly (TensorSpec & { readonly optional: boolean })[]; readonly outputs: readonly TensorSpec[] } {
  return { inputs: signature.inputs.map((spec) => ({ ...spec, optional: optionalInputs.has(spec.name) })), outputs: signature.outputs };
}

function find(project: string, { model, version }: StepReference, models: PipelineModels): StepModel | undefined {
  try {
    return models.resolve(project, model, version);
  } catch (error) {
    if (error instanceof StatusError && (error.code === "NOT_FOUND" || error.code === "UNAVAILABLE")) return undefined;
    throw error;
  }
}

function notReady(pipeline: string, { model, version }: StepReference, why: string): StatusError {
  return new StatusError("STEP_NOT_READY", `${pipeline} depends on '${model}'${version === "" ? "" : ` version ${version}`}, which ${why}`, { metadata: { model } });
}
