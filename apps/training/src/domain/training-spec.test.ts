import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError, type Reason } from "@servable/errors";
import type { ColumnRecord, DatasetRecord } from "./records.ts";
import { resolveSpec, type TrainingSpecDraft } from "./training-spec.ts";

const column = (name: string, changes: Partial<ColumnRecord> = {}): ColumnRecord => ({ name, kind: "numeric", missingCount: 0, categories: [], mean: 0, standardDeviation: 1, ...changes });
const table: DatasetRecord = {
  name: "projects/p/datasets/d", project: "p", format: "csv", description: "", missingValues: [], rowCount: 9, imageShape: [], labelClasses: [], digest: "", sizeBytes: 0, files: [], createTimeMs: 0,
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
  targetColumn: "species", positiveClass: "", family: undefined, hiddenUnits: [], optimizer: undefined, learningRate: 0, momentum: 0, epochCount: 0, batchSize: 0, validationFraction: undefined, seed: 0n, weightDecay: 0,
};

describe("a specification", () => {
  it("gets the defaults that the contract names", () => {
    assert.deepEqual(resolveSpec(unsaid, table), {
      targetColumn: "species", positiveClass: "", family: undefined, hiddenUnits: [], optimizer: "adam", learningRate: 0.01, momentum: 0, epochCount: 1_000, batchSize: 32, validationFraction: 0.2, seed: 0, weightDecay: 0,
    });
    assert.equal(resolveSpec({ ...unsaid, optimizer: "sgd" }, table).learningRate, 0.01);
    assert.equal(resolveSpec(unsaid, { ...table, rowCount: 640 }).epochCount, 100);
    assert.equal(resolveSpec(unsaid, { ...table, rowCount: 60_000 }).epochCount, 10);
    assert.deepEqual(resolveSpec({ ...unsaid, family: "mlp" }, table).hiddenUnits, [128]);
    assert.equal(resolveSpec({ ...unsaid, family: "mlp" }, table).learningRate, 0.001);
    assert.equal(resolveSpec({ ...unsaid, validationFraction: 0 }, table).validationFraction, 0);
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
    { what: "a negative seed", draft: { seed: -1n }, want: "FIELD_INVALID", field: "seed" },
    { what: "a seed beyond exact numbers", draft: { seed: 2n ** 60n }, want: "FIELD_INVALID", field: "seed" },
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
