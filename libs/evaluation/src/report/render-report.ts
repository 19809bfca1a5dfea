import type { EvaluationReport, SliceReport, ThresholdCurve } from "../evaluation-report.ts";
import { confusionHeatMap } from "./heat-map.ts";
import { html, type Html } from "./html.ts";
import { plot, type Series } from "./plot.ts";
import type { LearningPoint, ReportInput } from "./report-input.ts";
import { REPORT_STYLE } from "./report-style.ts";
import { limitsOf, metricText, numberText } from "./report-words.ts";

/**
 * The evaluation as one HTML page for people: it needs no network and no script, reads in light and dark, and can be kept
 * beside the model for as long as that lives. All text of the input is escaped.
 */
export function renderReport(input: ReportInput): string {
  const { title, intendedUse, evaluation, history = [], data = {}, run = {}, limits = [] } = input;
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Evaluation of ${title}</title><style>${{ markup: REPORT_STYLE }}</style></head><body><main>
<h1>${title}</h1><p class="soft">Evaluated on ${evaluation.rowCount} ${evaluation.kind === "language_model" ? "texts" : "rows"} that it was not trained on.</p>
${intendedUse === undefined || intendedUse === "" ? "" : html`<p>${intendedUse}</p>`}
${section("Metrics", metricsTable(evaluation))}
${section("What to keep in mind", html`<ul>${[...limits, ...limitsOf(evaluation)].map((sentence) => html`<li>${sentence}</li>`)}</ul>`)}
${history.length === 0 ? "" : section("Learning", html`<div class="plots">${learningPlots(history)}</div>`)}
${evaluation.kind === "classification" ? classification(evaluation) : ""}
${evaluation.residuals === undefined ? "" : section("Errors", html`<div class="plots">${residualPlots(evaluation.residuals)}</div>`)}
${evaluation.slices.length === 0 ? "" : section("Slices", slicesTable(evaluation.slices))}
${Object.keys(data).length === 0 ? "" : section("Data", recordTable(data))}
${Object.keys(run).length === 0 ? "" : section("Training record", recordTable(run))}
</main></body></html>
`;
  return page.markup;
}

function section(title: string, content: Html): Html {
  return html`<section><h2>${title}</h2>${content}</section>`;
}

function metricsTable({ metrics }: EvaluationReport): Html {
  return html`<table><thead><tr><th scope="col">metric</th><th scope="col">value</th></tr></thead><tbody>${Object.entries(metrics).map(([name, metric]) => html`<tr><th scope="row">${name}</th><td>${metricText(metric)}</td></tr>`)}</tbody></table>`;
}

function learningPlots(history: readonly LearningPoint[]): Html[] {
  const series = (label: string, key: "loss" | "validationLoss" | "validationAccuracy", mark: "line" | "dashed" = "line"): Series[] => {
    const points = history.flatMap((point) => (point[key] === undefined ? [] : [{ x: point.step, y: point[key] }]));
    return points.length === 0 ? [] : [{ label, points, mark }];
  };
  const accuracy = series("validation accuracy", "validationAccuracy");
  return [
    plot({ title: "Loss over steps", description: "Loss on training rows and on validation rows as training went on.", xLabel: "step", yLabel: "loss", series: [...series("training", "loss"), ...series("validation", "validationLoss")] }),
    ...(accuracy.length === 0 ? [] : [plot({ title: "Accuracy over steps", description: "Accuracy on validation rows as training went on.", xLabel: "step", yLabel: "accuracy", series: accuracy })]),
  ];
}

function classification(evaluation: EvaluationReport): Html {
  const { classes, confusionMatrix, curves, calibration } = evaluation;
  const unit = [0, 1] as const;
  const curvePlot = (kind: ThresholdCurve["kind"], title: string, xLabel: string, yLabel: string): Html[] => {
    const own = curves.filter((curve) => curve.kind === kind);
    const series: Series[] = own.map((curve) => ({ label: `${curve.class} (${numberText(curve.area)})`, points: curve.points }));
    const chance: Series[] = kind === "roc" ? [{ label: "chance", points: [{ x: 0, y: 0 }, { x: 1, y: 1 }], mark: "dashed" }] : [];
    return own.length === 0 ? [] : [plot({ title, description: `${title}, with the area under each curve in the legend.`, xLabel, yLabel, series: [...series, ...chance], xDomain: unit, yDomain: unit })];
  };
  const bins = calibration.filter(({ rowCount }) => rowCount > 0);
  return html`${section("Classes", html`<div class="plots">${confusionHeatMap(classes, confusionMatrix)}</div>${classTable(evaluation)}`)}
${section("Thresholds and calibration", html`<div class="plots">${[
    ...curvePlot("roc", "ROC curve", "false positive rate", "true positive rate"),
    ...curvePlot("precision_recall", "Precision over recall", "recall", "precision"),
    ...(bins.length === 0 ? [] : [plot({ title: "Calibration", description: "Share that was right over the model's confidence; on the diagonal the two agree.", xLabel: "confidence", yLabel: "share that was right", xDomain: unit, yDomain: unit, series: [{ label: "model", points: bins.map((bin) => ({ x: bin.confidence, y: bin.accuracy })) }, { label: "perfect", points: [{ x: 0, y: 0 }, { x: 1, y: 1 }], mark: "dashed" }] })]),
  ]}</div>`)}`;
}

function classTable({ classMetrics }: EvaluationReport): Html {
  const number = (value: number | undefined): Html => html`<td class="number">${value === undefined ? "–" : numberText(value)}</td>`;
  return html`<table><thead><tr><th scope="col">class</th>${["rows", "precision", "recall", "F1", "AUC"].map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead><tbody>${classMetrics.map((own) => html`<tr><th scope="row">${own.class}</th>${[own.rowCount, own.precision, own.recall, own.f1, own.auc].map(number)}</tr>`)}</tbody></table>`;
}

function residualPlots({ sample, quantiles }: NonNullable<EvaluationReport["residuals"]>): Html[] {
  const targets = sample.map(({ target }) => target);
  const ends = [targets.reduce((a, b) => Math.min(a, b), Infinity), targets.reduce((a, b) => Math.max(a, b), -Infinity)];
  return [
    plot({ title: "Prediction over target", description: "Each dot is a row; on the dashed line prediction and target agree.", xLabel: "target", yLabel: "prediction", series: [{ label: "rows", mark: "dots", points: sample.map(({ target, prediction }) => ({ x: target, y: prediction })) }, { label: "perfect", mark: "dashed", points: ends.map((end) => ({ x: end, y: end })) }] }),
    plot({ title: "Residual over prediction", description: "Target minus prediction; a pattern here is something the model missed.", xLabel: "prediction", yLabel: "residual", series: [{ label: "rows", mark: "dots", points: sample.map(({ target, prediction }) => ({ x: prediction, y: target - prediction })) }] }),
    html`<table><thead><tr><th scope="col">residual's quantile</th><th scope="col" class="number">value</th></tr></thead><tbody>${quantiles.map(({ probability, value }) => html`<tr><th scope="row">${Math.round(probability * 100)} %</th><td class="number">${numberText(value)}</td></tr>`)}</tbody></table>`,
  ];
}

function slicesTable(slices: readonly SliceReport[]): Html {
  return html`<table><thead><tr><th scope="col">slice</th><th scope="col" class="number">rows</th><th scope="col">metrics</th></tr></thead><tbody>${slices.map(({ column, value, rowCount, tooSmall, metrics }) => html`<tr><th scope="row">${column}: ${value}</th><td class="number">${rowCount}</td><td>${tooSmall ? "too few rows" : Object.entries(metrics).map(([name, metric]) => html`${name} ${metricText(metric)}<br>`)}</td></tr>`)}</tbody></table>`;
}

function recordTable(record: Readonly<Record<string, string>>): Html {
  return html`<table><tbody>${Object.entries(record).map(([name, value]) => html`<tr><th scope="row">${name}</th><td class="code">${value}</td></tr>`)}</tbody></table>`;
}
