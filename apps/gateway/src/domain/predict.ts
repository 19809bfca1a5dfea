// Predict: inference for people. `instances` is a list of examples, `inputs` the same as columns, `input_data` one example
// (or several, where it has the batch dimension). The answer has the form of the question.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelInferResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { Tensor } from "@servable/tensor";
import type { Caller } from "./caller.ts";
import type { InferenceDeps, Inference } from "./inference.ts";
import { outputTensor } from "./infer-response-json.ts";
import { headersOf, isOneExample, tensorsOfColumns, tensorsOfInstances, type TensorHeader } from "./instances.ts";
import type { ModelReference } from "./model-reference.ts";
import { predictionTexts, type NamedTensor } from "./predictions.ts";
import type { Route } from "./router.ts";

/** Answers predict calls with JSON text. */
export type Predict = (reference: ModelReference, body: Readonly<Record<string, unknown>>, bodyBytes: number, caller: Caller) => Promise<string>;

/** Predict over the models that inference reaches. */
export function createPredict({ router, usage }: Pick<InferenceDeps, "router" | "usage">, inference: Pick<Inference, "inferUnmeasured">): Predict {
  return (reference, body, bodyBytes, caller) =>
    usage.measure("Predict", reference, caller, async (meter) => {
      meter.addBytes(bodyBytes);
      const route = await router.find(caller.identity.project, reference, caller.signal);
      const { inputs, outputs } = signatureOf(route);
      const question = questionOf(body, inputs);

      const request = create(ModelInferRequestSchema, {
        modelName: reference.model,
        modelVersion: route.version,
        inputs: [...question.tensors].map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
        rawInputContents: [...question.tensors.values()].map(({ data }) => data),
      });
      const response = fromBinary(ModelInferResponseSchema, await inference.inferUnmeasured(toBinary(ModelInferRequestSchema, request), caller));

      const named = response.outputs.map((output, index): NamedTensor => {
        const tensor = outputTensor(response, output, index);
        return { tensor, header: outputs.find(({ name }) => name === output.name) ?? { name: output.name, datatype: tensor.datatype, shape: tensor.shape } };
      });
      const text = question.answer(named);
      meter.addBytes(text.length);
      return text;
    });
}

interface Question {
  readonly tensors: ReadonlyMap<string, Tensor>;
  answer(outputs: readonly NamedTensor[]): string;
}

function questionOf(body: Readonly<Record<string, unknown>>, inputs: readonly TensorHeader[]): Question {
  const forms = ["instances", "inputs", "input_data"].filter((form) => form in body);
  const [form] = forms;
  if (form === undefined || forms.length > 1) throw new StatusError("FIELD_REQUIRED", 'the body must have one of "instances" (a list of examples), "inputs" (columns) and "input_data" (one example)');
  const value = body[form];
  if (form === "inputs") {
    const tensors = tensorsOfColumns(inputs, value);
    const count = [...tensors.values()][0]?.shape[0] ?? 1;
    return { tensors, answer: (outputs) => `{"predictions":[${predictionTexts(outputs, count).join(",")}]}` };
  }
  if (form === "instances" || isBatch(inputs, value)) {
    if (!Array.isArray(value)) throw new StatusError("FIELD_INVALID", "instances must be a list of examples");
    const key = form === "instances" ? "predictions" : "prediction";
    const tensors = tensorsOfInstances(inputs, value, (index) => `${form}[${index}]`);
    return { tensors, answer: (outputs) => `{"${key}":[${predictionTexts(outputs, value.length).join(",")}]}` };
  }
  const tensors = tensorsOfInstances(inputs, [value], () => "input_data");
  return { tensors, answer: (outputs) => `{"prediction":${predictionTexts(outputs, 1, true)[0] ?? "null"}}` };
}

/** Whether `input_data` holds several examples. */
function isBatch(inputs: readonly TensorHeader[], value: unknown): boolean {
  const [only] = inputs;
  if (!Array.isArray(value)) return false;
  if (inputs.length !== 1 || only === undefined) return true;
  return !isOneExample(only, value);
}

function signatureOf({ model, signature }: Route): { inputs: TensorHeader[]; outputs: TensorHeader[] } {
  if (signature === undefined) throw new StatusError("MODEL_NOT_READY", `the signature of ${model} is not known yet: call again shortly`);
  return { inputs: headersOf(signature.inputs), outputs: headersOf(signature.outputs) };
}
