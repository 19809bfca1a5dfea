// A decoder that learns which token comes next: from scratch over bytes or a given vocabulary, or a registered one further.

import { evaluateLanguageModel, type TextScore } from "@servable/evaluation";
import { StatusError } from "@servable/errors";
import { Scope, crossEntropy, gpt, type GptOptions, type Network } from "@servable/nn";
import { argMax, buildModel, logSoftmax, type Graph, type Value } from "@servable/onnx";
import { trainable, type TrainingPlan } from "@servable/passes";
import { typedArrayOf } from "@servable/tensor";
import { createTokenizer } from "@servable/tokenizers";
import type { ChatExamples, TextLines } from "../../domain/dataset-reader/dataset-table.ts";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { TrainingSpecRecord } from "../../domain/training-spec-record.ts";
import type { LearningTask } from "../learning-task.ts";
import { readBaseModel, type BaseModelFiles } from "./base-model.ts";
import { BYTE_VOCABULARY, END_TOKEN, byteTokenizerJson, byteTokens } from "./byte-tokenizer.ts";
import { checkDifferentiable } from "./check-differentiable.ts";
import { checkFinite } from "./judge-classes.ts";
import { penalised } from "./penalised.ts";
import { checkBatchSize, divideRows, invalid } from "./task-rows.ts";
import { CHAT_TEMPLATE, NOT_ASKED, chatBlocks, documentBlocks, type TokenBlocks, type TokenSource } from "./token-blocks.ts";
import { planOf, servedPlan } from "./trained-model.ts";

/** Logits of every token are kept at once: fewer rows. */
const PORTION = 16;
/** Conversations are padded to multiples of it: each width is a session of its own. */
const WIDTH_STEP = 32;
const ARCHITECTURE = { layers: 4, heads: 4, width: 128 } as const;

/** What a decoder reads and how: the vocabulary that travels with it. */
interface Vocabulary extends TokenSource {
  readonly size: number;
  readonly tokenizerJson: string;
  /** Whether a token is a byte. */
  readonly bytes: boolean;
}

/** How logits are built, while training and for serving. */
interface Decoder {
  build(nn: Scope, weights?: ReadonlyMap<string, Float32Array>): Value;
  /** The input's name. */
  readonly input: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Texts or conversations for a decoder. */
export function languageTask(data: TextLines | ChatExamples, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { spec } = input;
  const base = input.baseModel === undefined ? undefined : readBaseModel(input);
  const vocabulary = vocabularyOf(base);
  const length = spec.maxSequenceLength;
  const blocks = blocksOf(data, vocabulary, spec, split);
  const decoder = base === undefined ? freshDecoder(vocabulary, spec) : baseDecoder(base, spec);
  const network: Network = (nn) => {
    const logits = decoder.build(nn); // [batch, sequence, vocabulary]
    const labels = nn.input("labels", "INT64", ["batch", "sequence"]);
    const loss = crossEntropy(nn.graph, logits, labels, { ignoreIndex: NOT_ASKED, labelSmoothing: nn.mode === "train" ? spec.labelSmoothing : 0 });
    return { loss, outputs: nn.mode === "eval" ? tokenScores(nn.graph, logits, labels) : {} };
  };
  if (base !== undefined) checkDifferentiable(network, { batch: 1, sequence: 8, "?batch": 1, "?sequence": 8 });
  const feeds: LearningTask["feeds"] = (rows, draw) => tokenFeeds(blocks, rows, draw, data.kind === "texts" ? length : undefined, length, decoder.input);
  return {
    trainingRows: blocks.training,
    validationRows: blocks.validation,
    testRows: blocks.test,
    network: penalised(network, spec),
    warnings: [],
    feeds,
    judge: async (rows, evaluate, detail = "full") => {
      const texts: TextScore[] = [];
      for (let start = 0; start < rows.length; start += PORTION) {
        const some = rows.subarray(start, start + PORTION);
        const batch = feeds(some);
        const { outputs } = await evaluate(batch);
        const [scores, guesses] = [outputs["scores"], outputs["guesses"]].map((tensor) => tensor && typedArrayOf(tensor)) as [Float32Array, BigInt64Array];
        const labels = batch["labels"]?.data as BigInt64Array;
        const width = labels.length / some.length;
        for (let row = 0; row < some.length; row++) texts.push(textScore(labels, scores, guesses, row * width, width, vocabulary.bytes));
      }
      checkFinite(texts.reduce((sum, { negativeLogLikelihood }) => sum + negativeLogLikelihood, 0));
      return evaluateLanguageModel({ texts, detail });
    },
    pack: async (weights) => {
      const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
      const logits = decoder.build(nn, weights);
      const encode = new TextEncoder();
      return new Map([
        ["model.onnx", buildModel({ graph: nn.graph, name: "servable_training", outputs: { logits } })],
        ["tokenizer.json", encode.encode(vocabulary.tokenizerJson)],
        ["config.json", encode.encode(JSON.stringify({ ...decoder.config, vocab_size: vocabulary.size, eos_token_id: vocabulary.endId ?? null }, undefined, 1))],
        ...(data.kind === "chats" ? [["tokenizer_config.json", encode.encode(JSON.stringify({ chat_template: CHAT_TEMPLATE }, undefined, 1))] as const] : []),
      ]);
    },
  };
}

function vocabularyOf(base: BaseModelFiles | undefined): Vocabulary {
  if (base === undefined) return { size: BYTE_VOCABULARY, bytes: true, endId: END_TOKEN, encode: byteTokens, tokenizerJson: byteTokenizerJson() };
  const tokenizerJson = base.text("tokenizer.json");
  if (tokenizerJson === undefined) throw invalid("base_model", "has no tokenizer.json beside its model.onnx: import the model with it");
  const tokenizer = createTokenizer(tokenizerJson);
  const end = (JSON.parse(base.text("config.json") ?? "{}") as { eos_token_id?: number | null }).eos_token_id ?? undefined;
  return {
    size: tokenizer.vocabularySize,
    bytes: false,
    endId: end,
    tokenizerJson,
    encode: (text) => (text === "" ? [] : (tokenizer.encode([text], { specialTokens: false, padding: "none" }).texts[0]?.ids ?? [])),
  };
}

function blocksOf(data: TextLines | ChatExamples, vocabulary: Vocabulary, spec: TrainingSpecRecord, split: Uint8Array | undefined): TokenBlocks {
  const length = spec.maxSequenceLength;
  if (data.kind === "chats") return chatBlocks(data, vocabulary, divideRows({ rowCount: data.rowCount, split }, spec), length);
  const blocks = documentBlocks(data, vocabulary, { length, split, validationFraction: spec.validationFraction, seed: spec.seed });
  if (blocks.training.length === 0) throw new StatusError("FIELD_INVALID", `training_job.spec.max_sequence_length is ${length}, and the training part of the text has fewer tokens: take a shorter one, or more text`, { metadata: { field: "training_job.spec.max_sequence_length" } });
  checkBatchSize(blocks.training.length, spec, `windows of ${length} tokens`);
  return blocks;
}

function freshDecoder({ size }: Vocabulary, { architecture, maxSequenceLength, dropout }: TrainingSpecRecord): Decoder {
  const sized = { layers: architecture.layerCount || ARCHITECTURE.layers, heads: architecture.headCount || ARCHITECTURE.heads, width: architecture.width || ARCHITECTURE.width };
  if (sized.width % sized.heads !== 0) throw invalid("architecture.width", `is ${sized.width}, which ${sized.heads} heads do not divide`);
  const options: GptOptions = { vocabulary: size, positions: maxSequenceLength, dropout, ...sized, ...(architecture.feedForwardWidth === 0 ? {} : { intermediate: architecture.feedForwardWidth }) };
  return {
    input: "input_ids",
    build: (nn) => gpt(nn, nn.input("input_ids", "INT64", ["batch", "sequence"]), options),
    config: { model_type: "servable-gpt", n_layer: options.layers, n_head: options.heads, n_embd: options.width, n_inner: options.intermediate ?? 4 * options.width, n_positions: options.positions, tie_word_embeddings: true },
  };
}

/** @throws StatusError `FIELD_INVALID` for a model that is no decoder of tokens */
function baseDecoder({ model, text }: BaseModelFiles, spec: TrainingSpecRecord): Decoder {
  const weightNames = new Set(model.graph?.initializer.map(({ name }) => name));
  const names = (model.graph?.input ?? []).map(({ name }) => name).filter((name) => !weightNames.has(name));
  if (names.join() !== "input_ids") throw invalid("base_model", `has the inputs ${names.map((name) => `"${name}"`).slice(0, 6).join(", ")}: a causal language model to train further has "input_ids" [batch, sequence] alone, without a cache`);
  const plan = planOf(model, spec);
  const built = (nn: Scope, from: TrainingPlan): Value => {
    const logits = trainable(nn, from).outputs.get("logits");
    if (logits?.shape.length !== 3 || typeof logits.shape[2] !== "number") throw invalid("base_model", 'has no output "logits" [batch, sequence, vocabulary]');
    return logits;
  };
  const config = JSON.parse(text("config.json") ?? "{}") as Record<string, unknown>;
  const positions = Number(config["n_positions"] ?? config["max_position_embeddings"] ?? Infinity);
  if (spec.maxSequenceLength > positions) throw invalid("max_sequence_length", `is ${spec.maxSequenceLength}, and the base model reads ${positions} tokens`);
  return { input: "input_ids", build: (nn, weights) => built(nn, weights === undefined ? plan : servedPlan(plan, weights, spec)), config };
}

/** For each token: -ln p of the one that came, and the likeliest. [batch, sequence] */
function tokenScores(graph: Graph, logits: Value, labels: Value): Record<string, Value> {
  const zero = graph.constant("INT64", [], [0n]);
  const safe = graph.node("Max", [labels, zero], { datatype: "INT64", shape: labels.shape });
  const places = graph.node("Unsqueeze", [safe, graph.constant("INT64", [1], [-1n])], { datatype: "INT64", shape: [...labels.shape, 1] });
  const picked = graph.node("GatherElements", [logSoftmax(graph, logits), places], { datatype: "FP32", shape: places.shape }, { axis: 2 });
  const negative = graph.node("Neg", [picked], { datatype: "FP32", shape: picked.shape });
  return { scores: graph.node("Squeeze", [negative, graph.constant("INT64", [1], [-1n])], { datatype: "FP32", shape: labels.shape }), guesses: argMax(graph, logits, 2) };
}

function textScore(labels: BigInt64Array, scores: Float32Array, guesses: BigInt64Array, from: number, width: number, bytes: boolean): TextScore {
  let [likelihood, count, correct] = [0, 0, 0];
  for (let at = from; at < from + width; at++) {
    if (labels[at] === BigInt(NOT_ASKED)) continue;
    likelihood += scores[at] ?? NaN;
    count++;
    if (guesses[at] === labels[at]) correct++;
  }
  return { negativeLogLikelihood: likelihood, tokenCount: count, correctCount: correct, ...(bytes ? { byteCount: count } : {}) };
}

function tokenFeeds(blocks: TokenBlocks, rows: Uint32Array, draw: Parameters<LearningTask["feeds"]>[1], fixed: number | undefined, lengthMax: number, name: string): ReturnType<LearningTask["feeds"]> {
  const tokens = Array.from(rows, (row) => blocks.row(row, draw));
  const longest = tokens.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  const width = fixed ?? Math.min(lengthMax, Math.ceil(longest / WIDTH_STEP) * WIDTH_STEP);
  const ids = new BigInt64Array(rows.length * width);
  const labels = new BigInt64Array(rows.length * width).fill(BigInt(NOT_ASKED));
  tokens.forEach((row, index) => {
    for (let at = 0; at < row.ids.length; at++) {
      ids[index * width + at] = BigInt(row.ids[at] ?? 0);
      labels[index * width + at] = BigInt(row.labels[at] ?? NOT_ASKED);
    }
  });
  const shape = [rows.length, width];
  return { [name]: { data: ids, shape }, labels: { data: labels, shape } };
}
