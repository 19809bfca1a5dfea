// Text from a causal language model over plain inference: the whole text so far goes in for every token. That costs the
// square of the length, which small models bear; an engine that keeps what it has computed can take this one's place
// behind the same interface.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ModelInferRequestSchema, ModelInferResponseSchema } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { elementsOf, tensorOf } from "@servable/tensor";
import type { Tokenizer } from "@servable/tokenizers";
import type { Caller } from "./caller.ts";
import type { Inference } from "./inference.ts";
import { outputTensor } from "./infer-response-json.ts";
import type { Router } from "./router.ts";
import { createSampler, type SamplingOptions } from "./token-sampler.ts";

/** What is asked for. */
export interface GenerationRequest extends SamplingOptions {
  readonly model: string;
  readonly prompt: string;
  /** Undefined = as many as fit, at most {@link TOKENS_USUAL}. */
  readonly tokensMax: number | undefined;
  /** Texts at which it ends; they are not part of the answer. */
  readonly stop: readonly string[];
}

/** A piece of the answer. */
export interface GeneratedPiece {
  /** What it adds to the text; "" while a character is incomplete. */
  readonly text: string;
  readonly token: string;
  readonly logprob: number;
  /** The likeliest tokens at this place, with their logarithms. */
  readonly top: readonly { readonly token: string; readonly logprob: number }[];
}

/** How an answer ended. */
export interface GenerationEnd {
  readonly finishReason: "stop" | "length";
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Generates text, token by token. */
export interface TextGenerator {
  /** @throws StatusError `TASK_NOT_DECLARED` for a model that is no language model, `CONTEXT_TOO_LONG` */
  generate(request: GenerationRequest, caller: Caller): AsyncGenerator<GeneratedPiece, GenerationEnd>;
}

/** Files that make numbers into text, and how long a text may be. */
export interface LanguageFiles {
  readonly tokenizer: Tokenizer;
  readonly endIds: ReadonlySet<number>;
  readonly positions: number;
}

/** Reads the files of a version. @throws StatusError `ARTIFACT_NOT_FOUND` */
export type ReadLanguageFiles = (deployment: string, version: string, caller: Caller) => Promise<LanguageFiles>;

/** Tokens of an answer where nobody says. */
const TOKENS_USUAL = 256;
/** An answer is never longer: each token costs more than the one before. */
const TOKENS_MAX = 1_024;
const CANDIDATES_SHOWN = 20;

/** A generator that asks the model anew for each token. */
export function createTextGenerator({ router, inference, files }: { readonly router: Pick<Router, "find">; readonly inference: Pick<Inference, "infer">; readonly files: ReadLanguageFiles }): TextGenerator {
  return {
    async *generate(request, caller) {
      const { model, prompt, stop } = request;
      const { version, signature } = await router.find(caller.identity.project, { model, version: "" }, caller.signal);
      const [input] = signature?.inputs ?? [];
      const decodes = signature?.inputs.length === 1 && input?.datatype === "INT64" && signature.outputs.some(({ name, shape }) => name === "logits" && shape.length === 3);
      if (input === undefined || !decodes) throw new StatusError("TASK_NOT_DECLARED", `${model} neither classifies nor generates texts: it cannot answer a conversation`, { metadata: { model } });
      const { tokenizer, endIds, positions } = await files(model, version, caller);
      const ids = [...(tokenizer.encode([prompt], { specialTokens: false, padding: "none" }).texts[0]?.ids ?? [])];
      const promptTokens = ids.length;
      if (promptTokens === 0) throw new StatusError("FIELD_INVALID", "the prompt is empty: say something for the model to go on from", { metadata: { field: "prompt" } });
      if (promptTokens >= positions) throw new StatusError("CONTEXT_TOO_LONG", `the prompt has ${promptTokens} tokens and ${model} reads ${positions}: shorten it`, { metadata: { field: "messages" } });
      const limit = Math.min(request.tokensMax ?? TOKENS_USUAL, TOKENS_MAX, positions - promptTokens);
      const sample = createSampler(request);
      let said = "";
      for (let count = 0; count < limit; count++) {
        caller.signal.throwIfAborted();
        const logits = await lastLogits(ids, input.name, { model, version }, inference, caller);
        const { id, logprob, top } = sample(logits, CANDIDATES_SHOWN);
        const end = (finishReason: GenerationEnd["finishReason"]): GenerationEnd => ({ finishReason, promptTokens, completionTokens: count + 1 });
        if (endIds.has(id)) return end("stop");
        ids.push(id);
        // Several tokens may be one character: what is whole is said, the rest waits.
        const text = tokenizer.decode(ids.slice(promptTokens)).replace(/\ufffd+$/, "");
        const cut = stop.map((end) => text.indexOf(end)).filter((at) => at !== -1).sort((a, b) => a - b)[0];
        const whole = cut === undefined ? text : text.slice(0, cut);
        // A stop text may be under way: its beginning is not said before it is known to be none.
        const safe = cut === undefined ? whole.length - overlapOf(whole, stop) : whole.length;
        const added = whole.slice(said.length, Math.max(said.length, safe));
        said += added;
        const tokenText = (token: number): string => tokenizer.decode([token]);
        yield { text: added, token: tokenText(id), logprob, top: top.map((each) => ({ token: tokenText(each.id), logprob: each.logprob })) };
        if (cut !== undefined) return end("stop");
        if (count === limit - 1 && said.length < whole.length) yield { text: whole.slice(said.length), token: "", logprob: 0, top: [] };
      }
      return { finishReason: "length", promptTokens, completionTokens: limit };
    },
  };
}

/** Logits for what follows the last token. [vocabulary] */
async function lastLogits(ids: readonly number[], input: string, { model, version }: { readonly model: string; readonly version: string }, inference: Pick<Inference, "infer">, caller: Caller): Promise<Float32Array> {
  const request = create(ModelInferRequestSchema, {
    modelName: model,
    modelVersion: version,
    inputs: [{ name: input, datatype: "INT64", shape: [1n, BigInt(ids.length)] }],
    outputs: [{ name: "logits" }],
    rawInputContents: [tensorOf("INT64", [1, ids.length], ids.map(BigInt)).data],
  });
  const response = fromBinary(ModelInferResponseSchema, await inference.infer(toBinary(ModelInferRequestSchema, request), caller));
  const [output] = response.outputs;
  if (output === undefined) throw new StatusError("INFERENCE_FAILED", `${model} answered no logits`);
  const tensor = outputTensor(response, output, 0);
  const size = tensor.shape.at(-1) ?? 0;
  const values = elementsOf(tensor) as number[];
  return Float32Array.from(values.slice(values.length - size));
}

/** How many characters at the end of a text may be the beginning of a stop text. */
function overlapOf(text: string, stop: readonly string[]): number {
  let most = 0;
  for (const end of stop) {
    for (let length = Math.min(end.length - 1, text.length); length > most; length--) {
      if (text.endsWith(end.slice(0, length))) most = length;
    }
  }
  return most;
}
