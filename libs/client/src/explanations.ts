import { ExplainMethod, ExplanationService, type ExplainResponse } from "@servable/contracts/inference/v1/explanation";
import type { Client } from "@servable/grpc";
import type { Tensor } from "@servable/tensor";
import type { ClientCallOptions, Connection } from "./connection.ts";

/** Methods of explanation by their short names. */
export const EXPLAIN_METHODS = { auto: ExplainMethod.AUTO, ig: ExplainMethod.INTEGRATED_GRADIENTS, occlusion: ExplainMethod.OCCLUSION, shapley: ExplainMethod.SHAPLEY } as const;

/** What is to be explained: tensors, or a picture or a text for models that declare such a task. */
export interface ExplainOptions extends ClientCallOptions {
  /** Name of the deployment. */
  readonly model: string;
  readonly version?: string | undefined;
  /** Tensors by input name. */
  readonly inputs?: Readonly<Record<string, Tensor>> | undefined;
  /** Bytes of a picture file. */
  readonly image?: Uint8Array | undefined;
  readonly text?: string | undefined;
  /** @default "auto" */
  readonly method?: keyof typeof EXPLAIN_METHODS | undefined;
  /** Output whose number is explained. @default the first one of real numbers */
  readonly output?: string | undefined;
  /** Index of the number. @default that of the largest */
  readonly target?: number | undefined;
  readonly explainedInputs?: readonly string[] | undefined;
  /** Points of the path, or orders. */
  readonly steps?: number | undefined;
  /** "zeros", "mean", "blur", "zero_embedding" or a number. @default "zeros" */
  readonly baseline?: string | undefined;
  /** An example to hold the inputs against, every input of the model. */
  readonly baselineInputs?: Readonly<Record<string, Tensor>> | undefined;
  readonly seed?: number | undefined;
}

/** An explanation runs the model many times. */
const TIMEOUT_MS = 120_000;

/** Why models gave their answers. */
export class Explanations {
  readonly #connection: Connection;
  readonly #explanations: Client<typeof ExplanationService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#explanations = connection.client(ExplanationService);
  }

  /**
   * How much each element of the inputs added to one number of the answer.
   *
   * @throws StatusError `EXPLANATION_UNSUPPORTED` naming what stands in the way of the method, `FIELD_INVALID`, and what `infer` throws
   */
  explain(options: ExplainOptions): Promise<ExplainResponse> {
    const inputs = Object.entries(options.inputs ?? {});
    const baselines = Object.entries(options.baselineInputs ?? {});
    const request = {
      modelName: options.model,
      modelVersion: options.version ?? "",
      inputs: inputs.map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
      rawInputContents: inputs.map(([, { data }]) => data as Uint8Array<ArrayBuffer>),
      ...(options.image === undefined ? {} : { image: options.image as Uint8Array<ArrayBuffer> }),
      text: options.text ?? "",
      method: EXPLAIN_METHODS[options.method ?? "auto"],
      output: options.output ?? "",
      ...(options.target === undefined ? {} : { target: BigInt(options.target) }),
      explainedInputs: [...(options.explainedInputs ?? [])],
      steps: options.steps ?? 0,
      baseline: options.baseline ?? "",
      baselineInputs: baselines.map(([name, { datatype, shape }]) => ({ name, datatype, shape: shape.map(BigInt) })),
      rawBaselineContents: baselines.map(([, { data }]) => data as Uint8Array<ArrayBuffer>),
      seed: BigInt(options.seed ?? 0),
    };
    return this.#connection.retrying(() => this.#explanations.explain(request, { signal: options.signal, timeoutMs: options.timeoutMs ?? TIMEOUT_MS }), options);
  }
}
