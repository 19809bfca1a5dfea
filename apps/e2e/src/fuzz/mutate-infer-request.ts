import { clone, create } from "@bufbuild/protobuf";
import { InferParameterSchema, ModelInferRequestSchema, ModelInferRequest_InferInputTensorSchema, ModelInferRequest_InferRequestedOutputTensorSchema, type ModelInferRequest } from "@servable/contracts/open-inference/grpc_service";
import type { SeededRandom } from "@servable/testing";
import { PARAMETER_CHOICES, PARAMETER_NAMES, STRANGE_DATATYPES, STRANGE_DIMENSIONS, STRANGE_TEXTS } from "./strange-values.ts";

/** Longest tensor that is made up. */
const RAW_BYTES_MAX = 4_096;

/** A request that is one to three steps away from a valid one, and still a message. */
export function mutateInferRequest(valid: ModelInferRequest, random: SeededRandom): ModelInferRequest {
  const request = clone(ModelInferRequestSchema, valid);
  for (let steps = 1 + random.below(3); steps > 0; steps--) random.pick(STEPS)(request, random);
  return request;
}

type Step = (request: ModelInferRequest, random: SeededRandom) => void;

const STEPS: readonly Step[] = [
  (request, random) => void (request.modelName = random.pick(STRANGE_TEXTS)),
  (request, random) => void (request.modelVersion = random.pick(STRANGE_TEXTS)),
  (request, random) => void (request.id = random.pick(STRANGE_TEXTS)),
  (request, random) => changeParameters(request.parameters, random),
  ({ inputs }, random) => void inputs.splice(random.below(inputs.length + 1), 1),
  ({ inputs }, random) => void inputs.push(inputs.length > 0 ? clone(ModelInferRequest_InferInputTensorSchema, random.pick(inputs)) : create(ModelInferRequest_InferInputTensorSchema)),
  onInput((input, random) => void (input.name = random.pick(STRANGE_TEXTS))),
  onInput((input, random) => void (input.datatype = random.pick(STRANGE_DATATYPES))),
  onInput((input, random) => void (input.shape = Array.from({ length: random.below(6) }, () => random.pick(STRANGE_DIMENSIONS)))),
  onInput((input, random) => void (input.shape = Array<bigint>(1 + random.below(2_000)).fill(1n))),
  onInput((input, random) => void (input.shape[random.below(input.shape.length + 1)] = random.pick(STRANGE_DIMENSIONS))),
  onInput((input, random) => changeParameters(input.parameters, random)),
  onInput(fillContents),
  ({ rawInputContents: raw }, random) => void raw.splice(random.below(raw.length + 1), 1),
  ({ rawInputContents: raw }, random) => void raw.splice(random.below(raw.length + 1), random.below(2), Uint8Array.from({ length: random.below(RAW_BYTES_MAX) }, () => random.below(256))),
  ({ rawInputContents: raw }, random) => {
    const at = random.below(raw.length);
    const bytes = raw[at];
    if (bytes !== undefined) raw[at] = bytes.slice(0, random.below(bytes.length + 1));
  },
  ({ outputs }, random) => {
    const output = create(ModelInferRequest_InferRequestedOutputTensorSchema, { name: random.pick(STRANGE_TEXTS) });
    changeParameters(output.parameters, random);
    outputs.push(output);
  },
];

function onInput(step: (input: ModelInferRequest["inputs"][number], random: SeededRandom) => void): Step {
  return ({ inputs }, random) => {
    if (inputs.length > 0) step(random.pick(inputs), random);
  };
}

function changeParameters(parameters: ModelInferRequest["parameters"], random: SeededRandom): void {
  const value = create(InferParameterSchema, { parameterChoice: random.pick(PARAMETER_CHOICES) });
  Object.defineProperty(parameters, random.pick(PARAMETER_NAMES), { value, enumerable: true, configurable: true, writable: true });
}

function fillContents(input: ModelInferRequest["inputs"][number], random: SeededRandom): void {
  const count = random.pick([0, 1, 15, 16, 17]);
  const numbers = Array.from({ length: count }, () => random.pick([0, -1, 127, 128, 255, 256, 65_536, 2 ** 31 - 1]));
  const contents = random.pick([
    { boolContents: numbers.map((value) => value > 0) },
    { intContents: numbers },
    { uintContents: numbers.map(Math.abs) },
    { int64Contents: numbers.map(BigInt) },
    { uint64Contents: numbers.map((value) => BigInt(Math.abs(value))) },
    { fp32Contents: numbers.map((value) => (value === -1 ? Number.NaN : value)) },
    { fp64Contents: numbers.map((value) => (value === -1 ? Number.POSITIVE_INFINITY : value)) },
    { bytesContents: numbers.map((value) => Buffer.from(String(value))) },
  ]);
  input.contents = create(ModelInferRequest_InferInputTensorSchema, { contents }).contents;
}
