import type { MessageInitShape } from "@bufbuild/protobuf";
import { EvaluationReport_Kind, type EvaluationReportSchema, ThresholdCurve_Kind } from "@servable/contracts/training/v1/evaluation";
import type { Metrics } from "@servable/evaluation";
import type { EvaluationRecord } from "../domain/records.ts";

const KINDS = { classification: EvaluationReport_Kind.CLASSIFICATION, regression: EvaluationReport_Kind.REGRESSION, language_model: EvaluationReport_Kind.LANGUAGE_MODEL } as const;
const CURVES = { roc: ThresholdCurve_Kind.ROC, precision_recall: ThresholdCurve_Kind.PRECISION_RECALL } as const;

/** A report as a message. A record that an older release stored has only the fields of a classifier's. */
export function evaluationMessage(evaluation: Partial<EvaluationRecord>): MessageInitShape<typeof EvaluationReportSchema> {
  const { kind = "classification", rowCount = 0, loss = 0, accuracy = 0, baselineAccuracy = 0, auc, classes = [], classMetrics = [], confusionMatrix = [], metrics = {}, slices = [], calibration = [], curves = [], residuals } = evaluation;
  return {
    kind: KINDS[kind],
    rowCount: BigInt(rowCount),
    loss,
    accuracy,
    baselineAccuracy,
    ...(auc === undefined ? {} : { auc }),
    classes: [...classes],
    classMetrics: classMetrics.map(({ auc: own, ...rest }) => ({ ...rest, rowCount: BigInt(rest.rowCount), ...(own === undefined ? {} : { auc: own }) })),
    confusionMatrix: confusionMatrix.map(BigInt),
    metrics: metricsMessage(metrics),
    slices: slices.map((slice) => ({ ...slice, rowCount: BigInt(slice.rowCount), metrics: metricsMessage(slice.metrics) })),
    calibration: calibration.map((bin) => ({ ...bin, rowCount: BigInt(bin.rowCount) })),
    curves: curves.map((curve) => ({ ...curve, kind: CURVES[curve.kind], points: [...curve.points] })),
    ...(residuals === undefined ? {} : { residuals: { quantiles: [...residuals.quantiles], sample: [...residuals.sample] } }),
  };
}

function metricsMessage(metrics: Metrics): NonNullable<MessageInitShape<typeof EvaluationReportSchema>["metrics"]> {
  return Object.fromEntries(Object.entries(metrics).map(([name, { value, interval }]) => [name, { value, ...(interval === undefined ? {} : { interval }) }]));
}
