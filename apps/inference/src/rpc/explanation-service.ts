import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { requireRole } from "@servable/auth";
import { ExplainMethod as WireMethod, ExplanationService, type ExplainRequest, type ExplainResponseSchema } from "@servable/contracts/inference/v1/explanation";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { implement, type CallContext, type ServiceRegistration } from "@servable/grpc";
import type { ImageDecoder } from "@servable/images";
import { decodeInferRequest } from "@servable/open-inference";
import type { Tensor } from "@servable/tensor";
import { explainOptionsOf, type ExplainMethod, type ExplainOptions } from "../domain/explain/explain-options.ts";
import { subjectOfImage, subjectOfText, type ExplainSubject } from "../domain/explain/explain-subject.ts";
import type { Explainer, ModelExplanation } from "../domain/explain/explainer.ts";
import type { InferRequest } from "../domain/executors/executor.ts";
import { checkInferRequest } from "../domain/requests/infer-request.ts";
import type { LoadedModel } from "../domain/repository/loaded-model.ts";
import type { ModelRepository } from "../domain/repository/model-repository.ts";
import type { TaskDeps } from "../domain/tasks/task-model.ts";

/** What explanations stand on. */
export interface ExplanationServiceDeps {
  readonly repository: Pick<ModelRepository, "resolve">;
  readonly explainer: Explainer;
  readonly images: ImageDecoder;
  /** The same versions as tasks see them. */
  readonly taskModels: TaskDeps["resolve"];
}

const METHODS: Readonly<Record<WireMethod, ExplainMethod>> = {
  [WireMethod.UNSPECIFIED]: "auto",
  [WireMethod.AUTO]: "auto",
  [WireMethod.INTEGRATED_GRADIENTS]: "ig",
  [WireMethod.OCCLUSION]: "occlusion",
  [WireMethod.SHAPLEY]: "shapley",
};
const WIRE_METHODS: Readonly<Record<ModelExplanation["method"], WireMethod>> = { ig: WireMethod.INTEGRATED_GRADIENTS, occlusion: WireMethod.OCCLUSION, shapley: WireMethod.SHAPLEY };

/** servable.inference.v1.ExplanationService over the models of this replica. */
export function explanationService({ repository, explainer, images, taskModels }: ExplanationServiceDeps): ServiceRegistration {
  const subjectOf = async (request: ExplainRequest, model: LoadedModel, project: string, options: ExplainOptions, signal: AbortSignal): Promise<ExplainSubject> => {
    const forms = [request.inputs.length > 0, request.image.length > 0, request.text !== ""].filter((given) => given).length;
    if (forms > 1) throw new StatusError("FIELD_INVALID", "inputs, image and text exclude each other: send one of them", { metadata: { field: "inputs" } });
    const taskModel = () => taskModels(project, request.modelName, request.modelVersion);
    if (request.image.length > 0) return subjectOfImage(images, taskModel(), request.image, options, signal);
    if (request.text !== "") return subjectOfText(taskModel(), request.text, options);
    const { request: checked } = checkInferRequest(decodeInferRequest(inferRequestOf(request)), model.target);
    return { request: checked, options: { ...options, ...(request.baselineInputs.length === 0 ? {} : { baselines: baselinesOf(request, checked, model) }) }, labels: [] };
  };

  return implement(ExplanationService, {
    async explain(request, { identity, signal, deadline, requestId }: CallContext) {
      requireRole(identity, "user");
      if (request.modelName === "") throw new StatusError("FIELD_REQUIRED", "model_name must be specified", { metadata: { field: "model_name" } });
      const method = METHODS[request.method] as ExplainMethod | undefined;
      if (method === undefined) throw new StatusError("FIELD_INVALID", `method ${request.method} is unknown`, { metadata: { field: "method" } });
      const stated = explainOptionsOf({ ...request, target: request.target, method, inputs: request.explainedInputs });
      const model = repository.resolve(identity.project, request.modelName, request.modelVersion);
      const subject = await subjectOf(request, model, identity.project, stated, signal);
      const explanation = await explainer.explain(model, subject.request, subject.options, { signal, deadline, project: identity.project, requestId });
      return responseOf(request.id, model, subject, explanation);
    },
  });
}

/** The part that is a request of the Open Inference Protocol, for its own checks. */
function inferRequestOf({ modelName, modelVersion, id, inputs, rawInputContents }: ExplainRequest): Uint8Array {
  return toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName, modelVersion, id, inputs, rawInputContents }));
}

/** The example that a caller holds its inputs against. @throws StatusError `FIELD_INVALID`, and what an infer request is refused with */
function baselinesOf({ modelName, modelVersion, baselineInputs, rawBaselineContents }: ExplainRequest, request: InferRequest, model: LoadedModel): ReadonlyMap<string, Tensor> {
  const bytes = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName, modelVersion, inputs: baselineInputs, rawInputContents: rawBaselineContents }));
  const { request: checked } = checkInferRequest(decodeInferRequest(bytes), model.target);
  return new Map(
    checked.inputs.map(({ name, datatype, shape, data }): [string, Tensor] => {
      const [count, ...rest] = request.inputs.find((input) => input.name === name)?.shape ?? [];
      // One example serves a whole batch.
      if (rest.join() !== shape.slice(1).join() || (shape[0] !== 1 && shape[0] !== count)) throw new StatusError("FIELD_INVALID", `baseline_inputs: "${name}" has shape [${shape.join()}], which is not one example of [${[count, ...rest].join()}]`, { metadata: { field: "baseline_inputs" } });
      return [name, { datatype, shape, data }];
    }),
  );
}

function responseOf(id: string, { spec, labels }: LoadedModel, subject: ExplainSubject, { method, fallbackReason, output, examples }: ModelExplanation): MessageInitShape<typeof ExplainResponseSchema> {
  const { picture, tokens } = subject;
  const names = subject.labels.length > 0 ? subject.labels : (labels.get(output) ?? []);
  return {
    modelName: spec.name,
    modelVersion: String(spec.version),
    id,
    method: WIRE_METHODS[method],
    fallbackReason,
    output,
    explanations: examples.map(({ target, prediction, baselinePrediction, completenessError, steps, evaluations, attributions }) => ({
      target: BigInt(target),
      label: names[target] ?? "",
      prediction,
      baselinePrediction,
      completenessError,
      steps,
      evaluationCount: evaluations,
      attributions: attributions.map(({ input, shape, values }) => ({ input, shape: shape.map(BigInt), values: [...values] })),
    })),
    ...(picture === undefined ? {} : { picture: { width: picture.width, height: picture.height, rgb: picture.rgb } }),
    ...(tokens === undefined ? {} : { tokens: tokens.map((token) => ({ ...token })) }),
  };
}
