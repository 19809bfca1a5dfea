import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import { PREPROCESSING_DEFAULTS } from "./preprocessing-spec.ts";
import type { ColumnRecord, DatasetRecord } from "./records.ts";
import { SPEC_DEFAULTS } from "./training-spec-record.ts";
import { resolveSpec, type TrainingSpecDraft } from "./training-spec.ts";

const column = (name: string, changes: Partial<ColumnRecord> = {}): ColumnRecord => ({ name, kind: "numeric", missingCount: 0, categories: [], mean: 0, standardDeviation: 1, ...changes });
const table: DatasetRecord = {
  name: "projects/p/datasets/d", project: "p", format: "csv", description: "", missingValues: [], rowCount: 9, imageShape: [], labelClasses: [], digest: "", sizeBytes: 0, files: [], createTimeMs: 0,
  version: 1, skipBadRows: false, header: [], columnOverrides: [], skippedRows: [], warnings: [], labelClassCounts: [], splits: [],
  columns: [
    column("height"),
    column("species", { kind: "categorical", categories: ["a", "b", "c"] }),
    column("island", { kind: "categorical", categories: ["x"] }),
    column("flat", { standardDeviation: 0 }),
    column("note", { kind: "ignored" }),
  ],
};
const images: DatasetRecord = { ...table, format: "idx", columns: [], imageShape: [28, 28, 1], labelClasses: ["0", "1", "2"] };
const unsaid: TrainingSpecDraft = {
  targetColumn: "species", positiveClass: "", family: undefined, hiddenUnits: [], optimizer: undefined, learningRate: 0, momentum: 0, epochCount: 0, batchSize: 0, validationFraction: undefined, seed: 0, weightDecay: 0,
};

describe("a specification", () => {
  it("gets the defaults that the contract names", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(resolveSpec(unsaid, table))), JSON.parse(JSON.stringify({ ...SPEC_DEFAULTS, targetColumn: "species", epochCount: 1_000, preprocessing: PREPROCESSING_DEFAULTS })));
    assert.equal(resolveSpec({ ...unsaid, optimizer: "sgd" }, table).learningRate, 0.01);
    assert.equal(resolveSpec(unsaid, { ...table, rowCount: 640 }).epochCount, 100);
    assert.equal(resolveSpec(unsaid, { ...table, rowCount: 60_000 }).epochCount, 10);
    assert.deepEqual(resolveSpec({ ...unsaid, family: "mlp" }, table).hiddenUnits, [128]);
    assert.equal(resolveSpec({ ...unsaid, family: "mlp" }, table).learningRate, 0.001);
    assert.equal(resolveSpec({ ...unsaid, validationFraction: 0 }, table).validationFraction, 0);
  });

  it("lets hyperparameters win over its fields", () => {
    const spec = resolveSpec({ ...unsaid, family: "mlp", learningRate: 1, hyperparameters: { "hidden_units.1": 3, "hidden_units.0": 5, learning_rate: 0.5, "optimizer_settings.beta1": 0.8 } }, table);

    assert.deepEqual([spec.hiddenUnits, spec.learningRate, spec.optimizerSettings.beta1], [[5, 3], 0.5, 0.8]);
  });

  it("takes images by their labels, and one class against the rest", () => {
    assert.equal(resolveSpec({ ...unsaid, targetColumn: "", positiveClass: "2", family: "logistic_regression" }, images).positiveClass, "2");
  });

  const refusals: readonly { what: string; draft: Partial<TrainingSpecDraft>; dataset?: DatasetRecord; want: Reason; field: string }[] = [
    { what: "no target", draft: { targetColumn: "" }, want: "FIELD_REQUIRED", field: "target_column" },
    { what: "an unknown target", draft: { targetColumn: "weight" }, want: "FIELD_INVALID", field: "target_column" },
    { what: "an ignored target", draft: { targetColumn: "note" }, want: "FIELD_INVALID", field: "target_column" },
    { what: "a target of one class", draft: { targetColumn: "island" }, want: "TARGET_UNSUITABLE", field: "target_column" },
    { what: "a numeric target of one value", draft: { targetColumn: "flat" }, want: "TARGET_UNSUITABLE", field: "target_column" },
    { what: "a target column of images", draft: { targetColumn: "label" }, dataset: images, want: "FIELD_INVALID", field: "target_column" },
    { what: "images of one class", draft: { targetColumn: "" }, dataset: { ...images, labelClasses: ["7"] }, want: "TARGET_UNSUITABLE", field: "target_column" },
    { what: "a positive class that is none", draft: { positiveClass: "d" }, want: "FIELD_INVALID", field: "positive_class" },
    { what: "logistic regression on three classes", draft: { family: "logistic_regression" }, want: "FIELD_INVALID", field: "family" },
    { what: "a layer without units", draft: { family: "mlp", hiddenUnits: [8, 0] }, want: "FIELD_INVALID", field: "hidden_units" },
    { what: "too many layers", draft: { family: "mlp", hiddenUnits: new Array<number>(9).fill(1) }, want: "FIELD_INVALID", field: "hidden_units" },
    { what: "a negative learning rate", draft: { learningRate: -1 }, want: "FIELD_INVALID", field: "learning_rate" },
    { what: "a learning rate that is no number", draft: { learningRate: NaN }, want: "FIELD_INVALID", field: "learning_rate" },
    { what: "a momentum above one", draft: { optimizer: "sgd", momentum: 1.1 }, want: "FIELD_INVALID", field: "momentum" },
    { what: "a momentum of Adam", draft: { momentum: 0.9 }, want: "FIELD_INVALID", field: "momentum" },
    { what: "negative epochs", draft: { epochCount: -1 }, want: "FIELD_INVALID", field: "epoch_count" },
    { what: "too many epochs", draft: { epochCount: 10_001 }, want: "FIELD_INVALID", field: "epoch_count" },
    { what: "a batch beyond the limit", draft: { batchSize: 65_537 }, want: "FIELD_INVALID", field: "batch_size" },
    { what: "all rows for validation", draft: { validationFraction: 1 }, want: "FIELD_INVALID", field: "validation_fraction" },
    { what: "a negative seed", draft: { seed: -1 }, want: "FIELD_INVALID", field: "seed" },
    { what: "a seed beyond exact numbers", draft: { seed: 2 ** 60 }, want: "FIELD_INVALID", field: "seed" },
    { what: "a batch larger than the data", draft: { batchSize: 10 }, want: "FIELD_INVALID", field: "batch_size" },
    { what: "half an epoch", draft: { epochCount: 1.5 }, want: "FIELD_INVALID", field: "epoch_count" },
    { what: "labels that are smoothed away", draft: { labelSmoothing: 1 }, want: "FIELD_INVALID", field: "label_smoothing" },
    { what: "adapters without a base model", draft: { lowRankAdaptation: {} }, want: "FIELD_INVALID", field: "low_rank_adaptation" },
    { what: "a text classifier without a base model", draft: { family: "text_classifier" }, want: "FIELD_REQUIRED", field: "base_model" },
    { what: "a base model that is no version", draft: { family: "imported", baseModel: "bert" }, want: "FIELD_INVALID", field: "base_model" },
    { what: "Nesterov's momentum of Adam", draft: { optimizerSettings: { nesterov: true } }, want: "FIELD_INVALID", field: "optimizer_settings.nesterov" },
    { what: "the target among the features", draft: { featureColumns: ["species"] }, want: "FIELD_INVALID", field: "feature_columns" },
    { what: "a feature that is no column", draft: { featureColumns: ["weight"] }, want: "FIELD_INVALID", field: "feature_columns" },
    { what: "a hyperparameter that is no field", draft: { hyperparameters: { lerning_rate: 1 } }, want: "FIELD_INVALID", field: "hyperparameters" },
    { what: "a hyperparameter out of its bounds", draft: { hyperparameters: { dropout: 1 } }, want: "FIELD_INVALID", field: "dropout" },
    { what: "a hidden layer without the one before", draft: { family: "mlp", hyperparameters: { "hidden_units.1": 4 } }, want: "FIELD_INVALID", field: "hyperparameters" },
    { what: "a negative weight decay", draft: { weightDecay: -0.1 }, want: "FIELD_INVALID", field: "weight_decay" },
  ];
  for (const { what, draft, dataset = table, want, field } of refusals) {
    it(`is refused with ${what}`, () => {
      assert.throws(
        () => resolveSpec({ ...unsaid, ...draft }, dataset),
        (error: unknown) => error instanceof StatusError && error.reason === want && error.message.includes(`training_job.spec.${field}`) && error.metadata["field"] === `training_job.spec.${field}`,
      );
    });
  }
});
