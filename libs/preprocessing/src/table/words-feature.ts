import { reshape, type Graph, type Value } from "@servable/onnx";
import { withoutMissing } from "./categorical-feature.ts";
import type { TextData } from "./column-data.ts";
import type { FittedFeature } from "./feature.ts";

/** How free texts become features. */
export interface WordsOptions {
  /** The most frequent words of the training rows that are counted. @default 1000 */
  readonly wordsMax: number;
}

/**
 * Learns a column of free text as a bag of words: how often each frequent word of the training rows stands in it. Words are
 * what spaces divide, as they are written: what stock ONNX operators can tell apart.
 *
 * The model's input: BYTES [batch, 1], "" = missing, which has no words.
 */
export function wordsFeature(data: TextData, rows: Uint32Array, missingValues: readonly string[], { wordsMax }: WordsOptions): FittedFeature {
  const counts = new Map<string, number>();
  for (const row of rows) {
    for (const word of new Set(wordsOf(data.text(row)))) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  // A word in one row teaches that row by heart.
  const words = [...counts]
    .filter(([, count]) => count > 1)
    .sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1))
    .slice(0, wordsMax)
    .map(([word]) => word);
  if (words.length === 0) return { dropped: "has no word that stands in two training rows" };
  const indices = new Map(words.map((word, index) => [word, index]));
  return {
    feature: {
      column: data.name,
      names: words.map((word) => `${data.name}: ${word}`),
      encoder(column) {
        const texts = column as TextData;
        return (row, target, offset) => {
          target.fill(0, offset, offset + words.length);
          for (const word of wordsOf(texts.text(row))) {
            const index = indices.get(word);
            if (index !== undefined) target[offset + index] = (target[offset + index] as number) + 1;
          }
        };
      },
      input: (graph) => graph.input(data.name, "BYTES", ["batch", 1]),
      nodes: (graph, input) => bagOfWords(graph, reshape(graph, withoutMissing(graph, input, missingValues, ""), ["batch"]), words),
    },
  };
}

/** ai.onnx::StringSplit without a delimiter divides at spaces, ai.onnx::TfIdfVectorizer counts. texts: [batch] → f32 [batch, words]. */
function bagOfWords(graph: Graph, texts: Value, words: readonly string[]): Value {
  const [pieces] = graph.nodeOf("StringSplit", [texts], [{ datatype: "BYTES", shape: ["batch", graph.unknownSize()] }, { datatype: "INT64", shape: ["batch"] }]);
  const attributes = {
    mode: "TF",
    min_gram_length: 1,
    max_gram_length: 1,
    max_skip_count: 0,
    ngram_counts: [0],
    ngram_indexes: words.map((_, index) => index),
    pool_strings: words,
  };
  return graph.node("TfIdfVectorizer", [pieces], { datatype: "FP32", shape: ["batch", words.length] }, attributes);
}

/** Pieces between spaces: onnxruntime's StringSplit divides at no other white space, whatever the operator's text says. */
function wordsOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(" ").filter((word) => word !== "");
}
