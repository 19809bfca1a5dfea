import { bootstrapIntervals, type BootstrapOptions, type RowWeights } from "./bootstrap.ts";
import type { EvaluationDetail } from "./evaluate-classification.ts";
import type { EvaluationReport, MetricValue } from "./evaluation-report.ts";
import { slicesOf, type SliceColumn, type SliceOptions } from "./slices.ts";

/** What a language model said of a text it had not seen: one entry for each text, or each block of a long one. */
export interface TextScore {
  /** Sum over the tokens of −ln(probability of the token that came). */
  readonly negativeLogLikelihood: number;
  /** Tokens that were predicted. */
  readonly tokenCount: number;
  /** Tokens whose most probable guess was the one that came. */
  readonly correctCount: number;
  /** UTF-8 bytes of those tokens, for numbers that do not depend on the tokenizer. */
  readonly byteCount?: number;
}

/** Texts with their scores. */
export interface LanguageModelInput {
  readonly texts: readonly TextScore[];
  /** @default the mean negative log-likelihood of a token */
  readonly loss?: number;
  readonly slices?: readonly SliceColumn[];
  readonly sliceOptions?: SliceOptions;
  readonly bootstrap?: BootstrapOptions;
  /** @default "full" */
  readonly detail?: EvaluationDetail;
}

/** e^709 is the largest that a double holds; a model that bad needs no number beyond. */
const EXPONENT_MAX = 700;

/**
 * Judges a language model: `perplexity` (e to the mean loss of a token), `token_accuracy`, `token_count`, and
 * `bits_per_byte` where bytes are given. Intervals resample whole texts, since the tokens of one depend on each other.
 * `rowCount` is the number of texts.
 */
export function evaluateLanguageModel({ texts, loss, slices = [], sliceOptions, bootstrap = {}, detail = "full" }: LanguageModelInput): EvaluationReport {
  const metrics = metricsOf(texts, detail === "full" ? bootstrap : undefined);
  const mean = loss ?? metrics["token_loss"]?.value ?? 0;
  return {
    kind: "language_model",
    rowCount: texts.length,
    loss: mean,
    metrics: { ...metrics, loss: { value: mean } },
    classes: [],
    classMetrics: [],
    confusionMatrix: [],
    calibration: [],
    curves: [],
    slices: detail === "full" ? slicesOf(slices, sliceOptions).map(({ rows, ...head }) => ({ column: head.column, value: head.value, tooSmall: head.tooSmall, rowCount: rows.length, metrics: head.tooSmall ? {} : metricsOf([...rows].flatMap((row) => texts[row] ?? []), { ...bootstrap, resampleCount: 100 }) })) : [],
  };
}

function metricsOf(texts: readonly TextScore[], bootstrap: BootstrapOptions | undefined): Record<string, MetricValue> {
  const names = ["token_loss", "perplexity", "token_accuracy", "bits_per_byte"];
  const statistics = (weights: RowWeights): number[] => {
    let [likelihood, tokens, correct, bytes] = [0, 0, 0, 0];
    texts.forEach((text, index) => {
      const weight = weights === undefined ? 1 : (weights[index] ?? 0);
      likelihood += weight * text.negativeLogLikelihood;
      tokens += weight * text.tokenCount;
      correct += weight * text.correctCount;
      bytes += weight * (text.byteCount ?? 0);
    });
    if (tokens === 0) return [NaN, NaN, NaN, NaN];
    const mean = likelihood / tokens;
    return [mean, Math.exp(Math.min(mean, EXPONENT_MAX)), correct / tokens, bytes === 0 ? NaN : likelihood / Math.LN2 / bytes];
  };
  const values = statistics(undefined);
  const intervals = bootstrap === undefined ? [] : bootstrapIntervals(texts.length, statistics, bootstrap);
  const metrics: Record<string, MetricValue> = { token_count: { value: texts.reduce((sum, { tokenCount }) => sum + tokenCount, 0) } };
  names.forEach((name, index) => {
    const value = values[index] ?? NaN;
    const interval = intervals[index];
    if (Number.isFinite(value)) metrics[name] = { value, ...(interval === undefined ? {} : { interval }) };
  });
  return metrics;
}
