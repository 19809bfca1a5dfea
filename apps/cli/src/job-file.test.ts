import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import { LearningRateSchedule_Shape, Preprocessing_Encoding, Preprocessing_Imputation, Preprocessing_Scaling, TrainingSpec_Family } from "@servable/contracts/training/v1/training_job";
import { tempDir } from "@servable/testing";
import { readJobFile } from "./job-file.ts";
import { specOf } from "./train-options.ts";

const directory = tempDir();
after(() => directory[Symbol.dispose]());
const file = (text: string): string => {
  const path = join(directory.path, "job.yaml");
  writeFileSync(path, text);
  return path;
};
const YAML = `dataset: penguins
model: penguins
priority: 10
spec:
  target_column: species
  family: mlp
  hidden_units: [64, 32]
  learning_rate: 0.01
  schedule: { shape: COSINE, warmup_steps: 100 }
  early_stopping:
    metric: accuracy
    patience: 5
`;

describe("a job file", () => {
  it("has the contract's fields, in its spelling or in camelCase, as YAML or JSON", async () => {
    const { dataset, priority, spec } = await readJobFile(file(YAML));
    assert.deepEqual([dataset, priority, spec?.family, spec?.hiddenUnits, spec?.schedule?.warmupSteps, spec?.earlyStopping?.metric], ["penguins", 10, TrainingSpec_Family.MLP, [64, 32], 100n, "accuracy"]);

    const json = await readJobFile(file(JSON.stringify({ dataset: "penguins", spec: { targetColumn: "species", schedule: { shape: "STEP" } } })));
    assert.deepEqual([json.spec?.targetColumn, json.spec?.schedule?.shape], ["species", LearningRateSchedule_Shape.STEP]);
  });

  it("is laid under the flags", async () => {
    const spec = specOf({ learningRate: 0.5, warmup: 7, patience: 2 }, (await readJobFile(file(YAML))).spec, "p");

    assert.deepEqual([spec.learningRate, spec.schedule?.shape, spec.schedule?.warmupSteps, spec.earlyStopping?.metric, spec.earlyStopping?.patience], [0.5, LearningRateSchedule_Shape.COSINE, 7n, "accuracy", 2]);
    assert.equal(specOf({ baseModel: "bert/2" }, undefined, "p").baseModel, "projects/p/models/bert/versions/2");
  });

  it("says of columns what flags do not, which win for all others", async () => {
    const text = `${YAML}  preprocessing: { imputation: CONSTANT, constant: 5, scaling: ROBUST, columns: [{ column: island, encoding: ORDINAL }] }\n`;
    const laid = specOf({ impute: "median", encode: "one-hot" }, (await readJobFile(file(text))).spec, "p").preprocessing;

    assert.deepEqual([laid?.imputation, laid?.constant, laid?.scaling, laid?.encoding], [Preprocessing_Imputation.MEDIAN, undefined, Preprocessing_Scaling.ROBUST, Preprocessing_Encoding.ONE_HOT]);
    assert.deepEqual(laid?.columns.map(({ column, encoding }) => [column, encoding]), [["island", Preprocessing_Encoding.ORDINAL]]);
    const alone = specOf({ impute: -1, scale: "min-max", missingIndicator: true }, undefined, "p").preprocessing;
    assert.deepEqual([alone?.imputation, alone?.constant, alone?.scaling, alone?.missingIndicator], [Preprocessing_Imputation.CONSTANT, -1, Preprocessing_Scaling.MIN_MAX, true]);
    assert.equal(specOf({ seed: 1 }, undefined, "p").preprocessing, undefined);
  });

  for (const { what, text, says } of [
    { what: "a field that does not exist", text: YAML.replace("learning_rate", "lerning_rate"), says: /job\.yaml:8: job\.spec\.lerning_rate is no field: there are .*learning_rate/ },
    { what: "a value of another type", text: YAML.replace("patience: 5", "patience: many"), says: /job\.yaml:12: .*patience/ },
    { what: "a word that is none", text: YAML.replace("COSINE", "SINE"), says: /job\.yaml:9: job\.spec\.schedule\.shape is "SINE", it can be CONSTANT/ },
    { what: "what is no YAML", text: "spec: [1,\n", says: /job\.yaml/ },
  ]) {
    it(`is refused with ${what}, by its line`, async () => {
      await assert.rejects(readJobFile(file(text)), (error: unknown) => error instanceof StatusError && error.reason === "FIELD_INVALID" && says.test(error.message) ? true : assert.fail(String(error)));
    });
  }
});
