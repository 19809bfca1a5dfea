// Fine-tuning of an encoder: a registered model reads tokens, a fresh linear layer on its vectors tells the classes apart.

import { Scope, dropout, linear, pooledText, type Network } from "@servable/nn";
import { buildModel, type ImportedGraph, type ModelProto, type Value } from "@servable/onnx";
import { headInput, trainable, type TrainingPlan } from "@servable/passes";
import { createTokenizer, type Tokenizer } from "@servable/tokenizers";
import type { AttemptInput } from "../../domain/job-executor.ts";
import type { LearningTask } from "../learning-task.ts";
import { readBaseModel, type BaseModelFiles } from "./base-model.ts";
import { checkDifferentiable } from "./check-differentiable.ts";
import { classLoss } from "./class-loss.ts";
import { weightsOfClasses } from "./class-targets.ts";
import { judgeClasses } from "./judge-classes.ts";
import type { LabelledTexts } from "./labelled-texts.ts";
import { penalised } from "./penalised.ts";
import { withoutTarget } from "./table-task.ts";
import { textManifest } from "./task-manifest-text.ts";
import { divideRows, invalid } from "./task-rows.ts";
import { planOf, servedPlan } from "./trained-model.ts";

const PORTION = 64;
/** Batches are padded to multiples of it: each width is a session of its own. */
const WIDTH_STEP = 16;
const HEAD = "classifier";

interface TextInputs {
  readonly ids: string;
  readonly mask: string;
  readonly types: string;
  /** The names above that the model has. */
  readonly present: ReadonlySet<string>;
}

/** Texts with a class each, over a base model. */
export function textClassifierTask(texts: LabelledTexts, input: AttemptInput, split: Uint8Array | undefined): LearningTask {
  const { spec } = input;
  const { classes, targets } = texts;
  const rows = divideRows({ rowCount: texts.rowCount, split, classes: targets }, spec);
  const base = readBaseModel(input);
  const inputs = textInputs(base);
  const tokenizerJson = base.text(base.manifest?.tokenizer?.file ?? "tokenizer.json");
  if (tokenizerJson === undefined) throw invalid("base_model", "has no tokenizer.json beside its model.onnx: import the model with it");
  const tokenizer = createTokenizer(tokenizerJson);
  const tokensMax = Math.min(spec.maxSequenceLength, base.manifest?.tokenizer?.tokensMax ?? Infinity, tokenizer.tokensMax ?? Infinity, positionsOf(base.model));
  const plan = planOf(base.model, spec);
  const loss = classLoss(classes.length, spec, weightsOfClasses(classes, spec));
  const logitsOf = (nn: Scope, from: TrainingPlan): Value => {
    const imported = trainable(nn, from);
    const pooled = pooledOf(nn, imported, base.model, inputs);
    return linear(nn.child(HEAD), dropout(nn, pooled, spec.dropout, `${HEAD}.dropout`), loss.outputs);
  };
  const network: Network = (nn) => {
    const logits = logitsOf(nn, plan);
    const labels = nn.input("labels", "INT64", ["batch"]);
    return { loss: loss.build(nn, logits, labels), outputs: { logits } };
  };
  checkDifferentiable(network, { batch: 2, ...Object.fromEntries(namesOf(base.model, inputs).flatMap(([batch, sequence]) => [[batch, 2], [sequence, WIDTH_STEP]])) });
  const encode = encoder(tokenizer, texts, tokensMax, base.manifest?.tokenizer?.prefix ?? "");
  const feeds: LearningTask["feeds"] = (some) => ({ ...tokenFeeds(some, encode, tokensMax, tokenizer.padId, inputs), labels: { data: BigInt64Array.from(some, (row) => BigInt(targets[row] ?? 0)), shape: [some.length] } });
  return {
    trainingRows: rows.training,
    validationRows: rows.validation,
    testRows: rows.test,
    network: penalised(network, spec),
    warnings: withoutTarget(targets),
    feeds,
    judge: (some, evaluate, detail = "full") => judgeClasses({ classes, targets, portion: PORTION, feeds }, some, evaluate, detail),
    pack: async (weights) => {
      const nn = new Scope({ mode: "infer", weights: (name) => weights.get(name) });
      const logits = logitsOf(nn, servedPlan(plan, weights, spec));
      const encode = new TextEncoder();
      return new Map([
        ["model.onnx", buildModel({ graph: nn.graph, name: "servable_training", outputs: { logits } })],
        ["tokenizer.json", encode.encode(tokenizerJson)],
        ["labels.json", encode.encode(JSON.stringify({ labels: classes }))],
        ["servable.yaml", textManifest({ tokensMax, ids: inputs.ids, mask: inputs.mask, types: inputs.types })],
      ]);
    },
  };
}

/** The model's inputs by what they are. @throws StatusError `FIELD_INVALID` for a model that reads something else than tokens */
function textInputs({ model, manifest }: BaseModelFiles): TextInputs {
  const { ids, mask, types } = manifest?.tokenizer?.inputs ?? { ids: "input_ids", mask: "attention_mask", types: "token_type_ids" };
  const weights = new Set(model.graph?.initializer.map(({ name }) => name));
  const names = (model.graph?.input ?? []).map(({ name }) => name).filter((name) => !weights.has(name));
  if (!names.includes(ids)) throw invalid("base_model", `has the inputs ${names.map((name) => `"${name}"`).join(", ")}: a text classifier's base model reads "${ids}" [batch, sequence]`);
  const other = names.find((name) => ![ids, mask, types].includes(name));
  if (other !== undefined) throw invalid("base_model", `has the input "${other}", which no tokenizer fills`);
  return { ids, mask, types, present: new Set(names) };
}

/** One vector a text: of token vectors the mean over true tokens, of a vector itself, else what the model's own head reads. */
function pooledOf(nn: Scope, { values, inputs, outputs }: ImportedGraph, model: ModelProto, { mask }: TextInputs): Value {
  const known = (value: Value, rank: number): boolean => value.datatype === "FP32" && value.shape.length === rank && typeof value.shape.at(-1) === "number";
  const tokens = [...outputs.values()].find((value) => known(value, 3));
  if (tokens !== undefined) return pooledText(nn, tokens, inputs.get(mask), "mean");
  const vector = outputs.get("sentence_embedding") ?? outputs.get("pooler_output");
  if (vector !== undefined && known(vector, 2)) return vector;
  const read = values.get(headInput(model, model.graph?.output[0]?.name ?? ""));
  if (read !== undefined && known(read, 2)) return read;
  throw invalid("base_model", `has the outputs ${[...outputs].map(([name, value]) => `"${name}" [${value.shape.join()}]`).join(", ")}: a text classifier needs token vectors [batch, sequence, size] or one vector a text`);
}

/** Names that the file has for the axes of its token inputs. */
function namesOf(model: ModelProto, { present }: TextInputs): [string, string][] {
  return (model.graph?.input ?? []).filter(({ name }) => present.has(name)).map((info) => {
    const dims = info.type?.value.case === "tensorType" ? (info.type.value.value.shape?.dim ?? []) : [];
    const nameAt = (axis: number): string => (dims[axis]?.value.case === "dimParam" ? `?${dims[axis].value.value}` : `?#${info.name}.${axis}`);
    return [nameAt(0), nameAt(1)];
  });
}

/** Positions that the model has a vector for, as far as its names tell. */
function positionsOf(model: ModelProto): number {
  const table = model.graph?.initializer.find(({ name, dims }) => /position_embeddings/.test(name) && dims.length === 2);
  return table === undefined ? Infinity : Number(table.dims[0]);
}

type Encode = (row: number) => Int32Array;

/** Tokens of a row, kept once they are known: passes over the data come again. */
function encoder(tokenizer: Tokenizer, texts: LabelledTexts, tokensMax: number, prefix: string): Encode {
  const known = new Map<number, Int32Array>();
  return (row) => {
    const before = known.get(row);
    if (before !== undefined) return before;
    const ids = Int32Array.from(tokenizer.encode([prefix + texts.text(row)], { tokensMax, padding: "none" }).texts[0]?.ids ?? []);
    known.set(row, ids);
    return ids;
  };
}

function tokenFeeds(rows: Uint32Array, encode: Encode, tokensMax: number, padId: number, { ids, mask, types, present }: TextInputs): Record<string, { data: BigInt64Array; shape: number[] }> {
  const encoded = Array.from(rows, encode);
  const longest = encoded.reduce((most, { length }) => Math.max(most, length), 1);
  const width = Math.min(tokensMax, Math.ceil(longest / WIDTH_STEP) * WIDTH_STEP);
  const shape = [rows.length, width];
  const [idData, maskData] = [new BigInt64Array(rows.length * width).fill(BigInt(padId)), new BigInt64Array(rows.length * width)];
  encoded.forEach((tokens, row) => {
    tokens.forEach((token, column) => {
      idData[row * width + column] = BigInt(token);
      maskData[row * width + column] = 1n;
    });
  });
  const all = { [ids]: { data: idData, shape }, [mask]: { data: maskData, shape }, [types]: { data: new BigInt64Array(rows.length * width), shape } };
  return Object.fromEntries(Object.entries(all).filter(([name]) => present.has(name)));
}
