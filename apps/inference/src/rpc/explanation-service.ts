import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { requireRole } from "@servable/auth";
import { ExplainMethod as WireMethod, ExplanationService, type ExplainRequest, type ExplainResponseSchema } from "@servable/contracts/inference/v1/explanation";
import { ModelInferRequestSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { implement, type CallContext, type ServiceRegistration } from "@servable/grpc";
import { decodeInferRequest } from "@servable/open-inference";
import { explainOptionsOf, type ExplainMethod } from "../domain/explain/explain-options.ts";
import type { Explainer, ModelExplanation } from "../domain/explain/explainer.ts";
import { checkInferRequest } from "../domain/infer-request.ts";
import type { LoadedModel } from "../domain/loaded-model.ts";
import type { ModelRepository } from "../domain/model-repository.ts";

/** What explanations stand on. */
export interface ExplanationServiceDeps {
  readonly repository: Pick<ModelRepository, "resolve">;
  readonly explainer: Explainer;
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
export function explanationService({ repository, explainer }: ExplanationServiceDeps): ServiceRegistration {
  return implement(ExplanationService, {
    async explain(request, { identity, signal, deadline, requestId }: CallContext) {
      requireRole(identity, "user");
      if (request.modelName === "") throw new StatusError("FIELD_REQUIRED", "model_name must be specified", { metadata: { field: "model_name" } });
      const method = METHODS[request.method] as ExplainMethod | undefined;
      if (method === undefined) throw new StatusError("FIELD_INVALID", `method ${request.method} is unknown`, { metadata: { field: "method" } });
      const options = explainOptionsOf({ ...request, target: request.target, method, inputs: request.explainedInputs });
      const model = repository.resolve(identity.project, request.modelName, request.modelVersion);
      const context = { signal, deadline, project: identity.project, requestId };
      const { request: checked } = checkInferRequest(decodeInferRequest(inferRequestOf(request)), model.target);
      return responseOf(request, model, await explainer.explain(model, checked, options, context));
    },
  });
}

/** The part that is a request of the Open Inference Protocol, for its own checks. */
function inferRequestOf({ modelName, modelVersion, id, inputs, rawInputContents }: ExplainRequest): Uint8Array {
  return toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, { modelName, modelVersion, id, inputs, rawInputContents }));
}

function responseOf({ id }: ExplainRequest, { spec, labels }: LoadedModel, { method, fallbackReason, output, examples }: ModelExplanation): MessageInitShape<typeof ExplainResponseSchema> {
  return {
    modelName: spec.name,
    modelVersion: String(spec.version),
    id,
    method: WIRE_METHODS[method],
    fallbackReason,
    output,
    explanations: examples.map(({ target, prediction, baselinePrediction, completenessError, steps, evaluations, attributions }) => ({
      target: BigInt(target),
      label: labels.get(output)?.[target] ?? "",
      prediction,
      baselinePrediction,
      completenessError,
      steps,
      evaluationCount: evaluations,
      attributions: attributions.map(({ input, shape, values }) => ({ input, shape: shape.map(BigInt), values: [...values] })),
    })),
  };
}
