import { ELEMENT_TYPES, cast, equal, mul, reduceSum, sub, where, type Graph, type Value } from "@servable/onnx";
import type { CategoricalData } from "./column-data.ts";
import type { FittedFeature } from "./feature.ts";

/** The categories that a column may have; rarer ones count as never seen. */
export const CATEGORIES_MAX = 1_000;

/** How categories become features. */
export interface CategoricalOptions {
  /** What a missing cell becomes: the training rows' most frequent category, or one of its own. @default "most_frequent" */
  readonly impute: "most_frequent" | "category";
  /**
   * one_hot: a number a category, all zero for one never seen; ordinal: its place by frequency from 0 on, -1 for one never
   * seen, for embeddings. @default "one_hot"
   */
  readonly encode: "one_hot" | "ordinal";
  /** Rarer categories count as never seen. @default 1000 */
  readonly categoriesMax: number;
}

/** The name of the category of missing cells; a text that trimmed cells cannot have. */
const MISSING_CATEGORY = " missing ";

/**
 * Learns a column of categories (or of yes and no) from training rows.
 *
 * The model's input: BYTES [batch, 1]; "" or one of `missingValues` = missing.
 */
export function categoricalFeature(data: CategoricalData, rows: Uint32Array, missingValues: readonly string[], { impute, encode, categoriesMax }: CategoricalOptions): FittedFeature {
  const counts = new Float64Array(data.categories.length);
  let missing = 0;
  for (const row of rows) {
    const code = data.codes[row] as number;
    if (code < 0) missing++;
    else counts[code] = (counts[code] as number) + 1;
  }
  if (missing === rows.length) return { dropped: "has no value in the training rows" };
  // Most frequent first, equally frequent ones by the alphabet.
  const seen = [...data.categories.keys()].filter((code) => (counts[code] as number) > 0).sort((a, b) => (counts[b] as number) - (counts[a] as number) || ((data.categories[a] ?? "") < (data.categories[b] ?? "") ? -1 : 1));
  const kept = seen.slice(0, Math.min(categoriesMax, CATEGORIES_MAX)).map((code) => data.categories[code] ?? "");
  const ownCategory = impute === "category" && missing > 0;
  if (kept.length === 1 && !ownCategory) return { dropped: `is "${kept[0]}" in all training rows` };
  const categories = ownCategory ? [...kept, MISSING_CATEGORY] : kept;
  const fill = ownCategory ? MISSING_CATEGORY : (kept[0] ?? "");
  // Two categories that exclude each other need one number only where nothing else can come: yes and no.
  const isBoolean = data.kind === "boolean" && kept.length === 2 && !ownCategory;
  const yes = isBoolean ? kept.toSorted(byTruth)[1] : undefined;
  const label = (category: string): string => `${data.name}=${category === MISSING_CATEGORY ? "(missing)" : category}`;
  return {
    feature: {
      column: data.name,
      names: yes !== undefined ? [label(yes)] : encode === "ordinal" ? [data.name] : categories.map(label),
      encoder(column) {
        const { codes, categories: texts } = column as CategoricalData;
        const indexOf = new Map(categories.map((category, index) => [category, index]));
        const indices = Int32Array.from(texts, (text) => indexOf.get(text) ?? -1);
        const missingIndex = indexOf.get(fill) ?? -1;
        const yesIndex = yes === undefined ? -1 : (indexOf.get(yes) ?? -1);
        return (row, target, offset) => {
          const code = codes[row] as number;
          const index = code < 0 ? missingIndex : (indices[code] as number);
          if (yes !== undefined) target[offset] = index === yesIndex ? 1 : 0;
          else if (encode === "ordinal") target[offset] = index;
          else {
            target.fill(0, offset, offset + categories.length);
            if (index >= 0) target[offset + index] = 1;
          }
        };
      },
      input: (graph) => graph.input(data.name, "BYTES", ["batch", 1]),
      nodes(graph, input) {
        const filled = withoutMissing(graph, input, missingValues, fill);
        if (yes !== undefined) return oneHot(graph, filled, [yes]);
        const hot = oneHot(graph, filled, categories); // [batch, categories]
        if (encode === "one_hot") return hot;
        // Σ hot·(place + 1) - 1: the place of the one that is hot, -1 where none is.
        const places = graph.constant("FP32", [1, categories.length], categories.map((_, index) => index + 1));
        return sub(graph, reduceSum(graph, mul(graph, hot, places), [1], true), graph.constant("FP32", [1, 1], [1]));
      },
    },
  };
}

function oneHot(graph: Graph, texts: Value, categories: readonly string[]): Value {
  return cast(graph, equal(graph, texts, graph.constant("BYTES", [1, categories.length], categories)), "FP32", ELEMENT_TYPES.FP32);
}

/** Puts a text where one of those stands that mean "missing". */
export function withoutMissing(graph: Graph, texts: Value, missingValues: readonly string[], fill: string): Value {
  const constant = (text: string): Value => graph.constant("BYTES", [1, 1], [text]);
  let filled = texts;
  for (const missing of new Set(["", ...missingValues])) filled = where(graph, equal(graph, filled, constant(missing)), constant(fill), filled);
  return filled;
}

/** "no" before "yes", whatever the two words are. */
function byTruth(a: string, b: string): number {
  const truth = (text: string): number => (/^(true|yes|y|t|on|1)$/i.test(text) ? 1 : 0);
  return truth(a) - truth(b) || (a < b ? -1 : 1);
}

