import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { evaluateClassification, evaluateLanguageModel, evaluateRegression } from "../src/index.ts";
import { precisionRecallPoints, rankedRows, rocPoints } from "../src/ranking.ts";

interface Golden {
  readonly targets: number[];
  readonly probabilities: number[];
  readonly classes: string[];
  readonly confusion: number[];
  readonly metrics: Record<string, number>;
}
interface Goldens {
  readonly regression: { targets: number[]; predictions: number[]; metrics: Record<string, number>; quantiles: number[] };
  readonly curves: { targets: number[]; scores: number[]; roc: [number, number][]; precision_recall: [number, number][] };
}
const goldens = JSON.parse(readFileSync(new URL("goldens/metrics.json", import.meta.url), "utf8")) as Goldens & Record<string, Golden>;

describe("metrics of a classifier", () => {
  for (const name of ["binary", "binary with ties", "four classes", "six classes with ties"]) {
    const { targets, probabilities, classes, confusion, metrics } = goldens[name] ?? assert.fail(name);

    it(`are scikit-learn's: ${name}`, () => {
      const report = evaluateClassification({ targets, probabilities, classes, topK: [2], detail: "summary" });

      for (const [metric, want] of Object.entries(metrics)) close(report.metrics[metric]?.value, want, metric);
      assert.deepEqual(report.confusionMatrix, confusion);
      assert.equal(report.loss, report.metrics["log_loss"]?.value);
    });
  }

  it("take the second class's probabilities alone", () => {
    const { targets, probabilities, classes, metrics } = goldens["binary"] ?? assert.fail();

    const report = evaluateClassification({ targets, probabilities: probabilities.filter((_, index) => index % 2 === 1), classes });

    close(report.auc, metrics["auc"] ?? NaN, "auc");
    close(report.metrics["log_loss"]?.value, metrics["log_loss"] ?? NaN, "log_loss");
  });

  it("have intervals that hold the value, the same for the same seed", () => {
    const { targets, probabilities, classes } = goldens["binary"] ?? assert.fail();

    const [one, again, other] = [1, 1, 2].map((seed) => evaluateClassification({ targets, probabilities, classes, bootstrap: { seed } }));

    assert.deepEqual(one, again);
    assert.notDeepEqual(one?.metrics, other?.metrics);
    for (const name of ["accuracy", "auc", "f1_macro", "log_loss", "brier", "precision"]) {
      const { value, interval } = one?.metrics[name] ?? assert.fail(name);
      assert.ok(interval !== undefined && interval.low < value && value < interval.high, `${name}: ${JSON.stringify({ value, interval })}`);
    }
  });

  it("leave out rankings where all rows are of one class, and stay finite", () => {
    const report = evaluateClassification({ targets: [1, 1, 1], probabilities: [0.2, 0.9, 0.6], classes: ["no", "yes"] });

    assert.equal(report.auc, undefined);
    assert.equal(report.metrics["auc"], undefined);
    assert.deepEqual(report.curves, []);
    assert.equal(JSON.stringify(report).includes("null"), false);
  });

  it("judge no rows without dividing by zero", () => {
    const report = evaluateClassification({ targets: [], probabilities: [], classes: ["no", "yes"] });

    assert.equal(report.accuracy, 0);
    assert.equal(JSON.stringify(report).includes("null"), false);
  });

  it("count calibration: confidence and accuracy of each bin, and their distance", () => {
    // Ten rows at 0.95, nine of them right; ten rows at 0.65, three of them positive.
    const probabilities = [...Array<number>(10).fill(0.95), ...Array<number>(10).fill(0.65)];
    const targets = [...Array<number>(9).fill(1), 0, 1, 1, 1, ...Array<number>(7).fill(0)];

    const { calibration, metrics } = evaluateClassification({ targets, probabilities, classes: ["no", "yes"], detail: "summary" });

    close(calibration[9]?.accuracy, 0.9, "bin of 0.9 to 1");
    close(calibration[6]?.accuracy, 0.3, "bin of 0.6 to 0.7");
    close(metrics["expected_calibration_error"]?.value, (0.05 + 0.35) / 2, "expected");
    close(metrics["maximal_calibration_error"]?.value, 0.35, "maximal");
  });

  for (const { why, input, field } of [
    { why: "a target that is no class", input: { targets: [0, 2], probabilities: [0.5, 0.5] }, field: "targets[1]" },
    { why: "a probability that is no number", input: { targets: [0, 1], probabilities: [0.5, NaN] }, field: "probabilities[1]" },
    { why: "a table of another size", input: { targets: [0, 1], probabilities: [0.5, 0.5, 1] }, field: "probabilities" },
  ]) {
    it(`refuse ${why}, naming it`, () => {
      assert.throws(
        () => evaluateClassification({ ...input, classes: ["no", "yes"] }),
        (error) => error instanceof StatusError && error.reason === "FIELD_INVALID" && error.metadata["field"] === field,
      );
    });
  }
});

describe("curves", () => {
  const { targets, scores, roc, precision_recall: precisionRecall } = goldens.curves;
  const ranking = { scores, order: rankedRows(scores), isPositive: (row: number) => targets[row] === 1 };

  it("are scikit-learn's ROC, tied scores in one step", () => {
    const points = rocPoints(ranking).map(({ x, y }) => [x, y]);

    points.forEach(([x, y], index) => {
      close(x, roc[index]?.[0] ?? NaN, `x of ${index}`, 1e-6);
      close(y, roc[index]?.[1] ?? NaN, `y of ${index}`, 1e-6);
    });
    assert.equal(points.length, roc.length);
  });

  it("are scikit-learn's precision over recall", () => {
    const points = precisionRecallPoints(ranking);

    for (const { x, y } of points) assert.ok(precisionRecall.some(([recall, precision]) => Math.abs(recall - x) < 1e-6 && Math.abs(precision - y) < 1e-6), `no (${x}, ${y})`);
    assert.equal(points.length, new Set(scores).size + 1);
  });

  it("stay small however many rows there are", () => {
    const many = Array.from({ length: 5000 }, (_, row) => (row * 7919) % 5000);

    const points = rocPoints({ scores: many, order: rankedRows(many), isPositive: (row) => row % 3 === 0 });

    assert.equal(points.length, 64);
    assert.deepEqual([points.at(0)?.x, points.at(0)?.y, points.at(-1)?.x, points.at(-1)?.y], [0, 0, 1, 1]);
  });
});

describe("metrics of a regression", () => {
  const { targets, predictions, metrics, quantiles } = goldens.regression;

  it("are scikit-learn's, with quantiles of the residuals", () => {
    const report = evaluateRegression({ targets, predictions });

    for (const [metric, want] of Object.entries(metrics)) close(report.metrics[metric]?.value, want, metric);
    report.residuals?.quantiles.forEach(({ value }, index) => close(value, quantiles[index] ?? NaN, `quantile ${index}`));
  });

  it("leave out what has no meaning: r² of a constant, relative errors around 0", () => {
    const report = evaluateRegression({ targets: [0, 0, 0, 0], predictions: [1, -1, 0.5, 0] });

    assert.equal(report.metrics["r2"], undefined);
    assert.equal(report.metrics["mape"], undefined);
    assert.equal(report.metrics["mae"]?.value, 0.625);
  });

  it("refuse an infinite prediction, naming the row", () => {
    assert.throws(() => evaluateRegression({ targets: [1, 2], predictions: [1, Infinity] }), /predictions\[1\] is Infinity/);
  });
});

describe("metrics of a language model", () => {
  it("are per token: perplexity of a uniform guess is the vocabulary's size", () => {
    const texts = [10, 20, 5].map((tokenCount) => ({ negativeLogLikelihood: tokenCount * Math.log(32), tokenCount, correctCount: tokenCount / 5, byteCount: tokenCount }));

    const { metrics, rowCount } = evaluateLanguageModel({ texts });

    close(metrics["perplexity"]?.value, 32, "perplexity", 1e-9);
    close(metrics["token_accuracy"]?.value, 0.2, "token accuracy");
    close(metrics["bits_per_byte"]?.value, 5, "bits per byte");
    assert.equal(metrics["token_count"]?.value, 35);
    assert.equal(rowCount, 3);
  });

  it("stay finite for a model that is certain of the wrong token", () => {
    const { metrics } = evaluateLanguageModel({ texts: [{ negativeLogLikelihood: 1e6, tokenCount: 10, correctCount: 0 }] });

    assert.ok(Number.isFinite(metrics["perplexity"]?.value));
  });
});

function close(got: number | undefined, want: number, what: string, tolerance = 1e-9): void {
  assert.ok(got !== undefined && Math.abs(got - want) <= tolerance * Math.max(1, Math.abs(want)), `${what}: got ${got}, want ${want}`);
}
