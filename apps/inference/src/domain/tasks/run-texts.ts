// Texts of one call differ in length, and a batch is as wide as its longest text: so they are run in groups of similar
// length, and the answers go back to their places.

import { StatusError } from "@servable/errors";
import type { TokenizerSection } from "@servable/preprocessing";
import type { Tensor } from "@servable/tensor";
import type { EncodedText, Tokenizer } from "@servable/tokenizers";
import type { InferContext } from "../executors/executor.ts";
import type { TensorSpec } from "../config/signature.ts";
import { batchMax, eachOf, pickTensor, runModel } from "./run-model.ts";
import { idTensors } from "./steps.ts";
import type { TaskModel } from "./task-model.ts";

/** A text as a model reads it. */
export type TokenizedText = Pick<EncodedText, "ids" | "typeIds" | "truncated">;

/** The outputs of one group of texts. */
export interface TextGroup {
  /** Which of the texts they are. */
  readonly indices: readonly number[];
  readonly texts: readonly TokenizedText[];
  /** Tokens of a row, padding included. */
  readonly width: number;
  readonly outputs: ReadonlyMap<string, Tensor>;
}

/** Where nothing says how long a text may be. */
const TOKENS_MAX_DEFAULT = 512;
const GROUP_TEXTS_MAX = 32;
/** Groups of one call that wait in the model's queue at the same time. */
const GROUPS_AT_ONCE = 4;

/** The graph's inputs that the manifest's names stand for. @throws StatusError `TASK_MANIFEST_INVALID` */
export function textInputsOf(model: TaskModel, { inputs }: TokenizerSection): { ids: TensorSpec; mask?: TensorSpec; types?: TensorSpec } {
  const find = (name: string): TensorSpec | undefined => model.signature.inputs.find((spec) => spec.name === name);
  const [mask, types] = [find(inputs.mask), find(inputs.types)];
  const known = { ids: pickTensor(model, "inputs", inputs.ids, "tokenizer.inputs.ids"), ...(mask && { mask }), ...(types && { types }) };
  const other = model.signature.inputs.find((spec) => ![inputs.ids, inputs.mask, inputs.types].includes(spec.name));
  if (other !== undefined) throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: tokenizer.inputs names no input "${other.name}", which '${model.name}' needs`, { metadata: { field: "tokenizer.inputs" } });
  return known;
}

/** Tokens that a text may have: as the manifest, the graph or the tokenizer says. */
export function tokensMaxOf(model: TaskModel, section: TokenizerSection, tokenizer: Pick<Tokenizer, "tokensMax">): number {
  const [, fixed = -1] = pickTensor(model, "inputs", section.inputs.ids, "tokenizer.inputs.ids").shape;
  const stated = section.tokensMax ?? tokenizer.tokensMax ?? (fixed > 0 ? fixed : TOKENS_MAX_DEFAULT);
  return fixed > 0 ? Math.min(fixed, stated) : stated;
}

/** Runs the model on all texts. @throws StatusError `FIELD_INVALID` naming a text that is no token */
export async function runTexts(model: TaskModel, texts: readonly TokenizedText[], { section, padId, outputs }: { section: TokenizerSection; padId: number; outputs: readonly string[] }, context: InferContext): Promise<TextGroup[]> {
  const inputs = textInputsOf(model, section);
  const empty = texts.findIndex(({ ids }) => ids.length === 0);
  if (empty !== -1) throw new StatusError("FIELD_INVALID", `texts[${empty}] has no token for this model: send a text with words`, { metadata: { field: `texts[${empty}]` } });
  const size = batchMax(model, inputs.ids, GROUP_TEXTS_MAX);
  const [, fixed = -1] = inputs.ids.shape;
  const byLength = [...texts.keys()].sort((a, b) => lengthOf(texts[a]) - lengthOf(texts[b]));
  const groups = Array.from({ length: Math.ceil(texts.length / size) }, (_, index) => byLength.slice(index * size, (index + 1) * size));
  return eachOf(groups, GROUPS_AT_ONCE, async (indices): Promise<TextGroup> => {
    const members = indices.map((index) => texts[index] as TokenizedText);
    const width = fixed > 0 ? fixed : Math.max(...members.map(lengthOf));
    // A graph of a fixed batch gets its last rows filled up.
    const [batch = -1] = inputs.ids.shape;
    const rows = batch > 0 ? [...members, ...Array<TokenizedText>(batch - members.length).fill(members[0] as TokenizedText)] : members;
    return { indices, texts: members, width, outputs: await runModel(model, idTensors(rows, { padId, width, inputs }), outputs, rows.length, context) };
  });
}

function lengthOf(text: TokenizedText | undefined): number {
  return text?.ids.length ?? 0;
}
