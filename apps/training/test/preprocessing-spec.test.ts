import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fromJson } from "@bufbuild/protobuf";
import { TrainingSpecSchema } from "@servable/contracts/training/v1/training_job";
import { StatusError } from "@servable/errors";
import { specDraft, specMessage } from "../src/rpc/spec-messages.ts";
import { PREPROCESSING_DEFAULTS, type PreprocessingDraft } from "../src/domain/preprocessing-spec.ts";
import type { ColumnKind, ColumnRecord, DatasetRecord } from "../src/domain/records.ts";
import { checkedChoice, withValues } from "../src/domain/study/spec-paths.ts";
import { resolveSpec, type TrainingSpecDraft } from "../src/domain/training-spec.ts";

const column = (name: string, kind: ColumnKind): ColumnRecord => ({ name, kind, missingCount: 0, categories: kind === "categorical" ? ["a", "b"] : [], mean: 0, standardDeviation: 1 });
const table: DatasetRecord = {
  name: "projects/p/datasets/d", project: "p", format: "csv", description: "", missingValues: [], rowCount: 90, imageShape: [], labelClasses: [], digest: "", sizeBytes: 0, files: [], createTimeMs: 0,
  version: 1, skipBadRows: false, header: [], columnOverrides: [], skippedRows: [], warnings: [], labelClassCounts: [], splits: [],
  columns: [column("species", "categorical"), column("mass", "numeric"), column("island", "categorical"), column("wild", "boolean"), column("seen", "datetime"), column("remark", "text"), column("note", "ignored")],
};
const images: DatasetRecord = { ...table, format: "idx", columns: [], imageShape: [28, 28, 1], labelClasses: ["0", "1"] };
const said = (preprocessing: PreprocessingDraft, more: TrainingSpecDraft = {}): TrainingSpecDraft => ({ targetColumn: "species", preprocessing, ...more });

describe("the preprocessing of a specification", () => {
  it("is the defaults where nothing is said, and nothing where nothing is learned from columns", () => {
    assert.deepEqual(resolveSpec({ targetColumn: "species" }, table).preprocessing, PREPROCESSING_DEFAULTS);
    assert.equal(resolveSpec({}, images).preprocessing, undefined);
  });

  it("comes back from its message as it was, and resolves to itself", () => {
    const plain = {
      target_column: "species",
      preprocessing: { imputation: "CONSTANT", scaling: "MIN_MAX", encoding: "ORDINAL", missing_indicator: true, columns: [{ column: "mass", imputation: "MEDIAN", missing_indicator: false }, { column: "island", category_imputation: "OWN_CATEGORY", category_count_max: 5 }, { column: "remark", word_count_max: 20 }] },
    };
    const spelled = JSON.parse(JSON.stringify(plain).replace(/"(CONSTANT|MEDIAN)"/g, '"IMPUTATION_$1"').replace('"MIN_MAX"', '"SCALING_MIN_MAX"').replace('"ORDINAL"', '"ENCODING_ORDINAL"').replace('"OWN_CATEGORY"', '"CATEGORY_IMPUTATION_OWN_CATEGORY"')) as typeof plain;
    const resolved = resolveSpec(specDraft(fromJson(TrainingSpecSchema, spelled)), table);

    assert.deepEqual(resolved.preprocessing, {
      ...PREPROCESSING_DEFAULTS, imputation: "constant", constant: 0, scaling: "min_max", encoding: "ordinal", missingIndicator: true,
      columns: [{ column: "mass", imputation: "median", missingIndicator: false }, { column: "island", categoryImputation: "own_category", categoryCountMax: 5 }, { column: "remark", wordCountMax: 20 }],
    });
    assert.deepEqual(resolveSpec(specDraft(specMessage(resolved)), table), resolved);
  });

  it("can be varied by studies, as words, truths and numbers", () => {
    const values = { "preprocessing.scaling": checkedChoice("preprocessing.scaling", "SCALING_MIN_MAX"), "preprocessing.imputation": checkedChoice("preprocessing.imputation", "CONSTANT"), "preprocessing.missing_indicator": true, "preprocessing.constant": -1 };
    const { preprocessing } = resolveSpec(withValues(said({ encoding: "ordinal" }), values), table);

    assert.deepEqual(preprocessing, { ...PREPROCESSING_DEFAULTS, scaling: "min_max", imputation: "constant", constant: -1, missingIndicator: true, encoding: "ordinal" });
    assert.throws(() => checkedChoice("preprocessing.encoding", "HASHED"), /ONE_HOT, ORDINAL/);
  });

  const refusals: readonly { what: string; draft: TrainingSpecDraft; dataset?: DatasetRecord; field: string; says: RegExp }[] = [
    { what: "pictures", draft: { preprocessing: {} }, dataset: images, field: "", says: /is for tables/ },
    { what: "a family that reads no columns", draft: said({}, { family: "imported", baseModel: "projects/p/models/m/versions/1" }), field: "", says: /MLP: leave it out/ },
    { what: "a column that there is not", draft: said({ columns: [{ column: "weight" }] }), field: ".columns[0].column", says: /"weight" is no column: .*"mass", "island"/ },
    { what: "the target", draft: said({ columns: [{ column: "species" }] }), field: ".columns[0].column", says: /"species" is the target/ },
    { what: "an ignored column", draft: said({ columns: [{ column: "note" }] }), field: ".columns[0].column", says: /"note" is ignored/ },
    { what: "a column that is not learned from", draft: said({ columns: [{ column: "island" }] }, { featureColumns: ["mass"] }), field: ".columns[0].column", says: /not among feature_columns: .* are "mass"/ },
    { what: "a column twice", draft: said({ columns: [{ column: "mass" }, { column: "mass" }] }), field: ".columns[1].column", says: /"mass" stands there twice/ },
    { what: "a scaling of categories", draft: said({ columns: [{ column: "island", scaling: "robust" }] }), field: ".columns[0].scaling", says: /"island" can have, which is categorical: possible are category_imputation, encoding, category_count_max/ },
    { what: "an encoding of numbers", draft: said({ columns: [{ column: "mass", encoding: "ordinal" }] }), field: ".columns[0].encoding", says: /"mass" .* numeric: possible are imputation, constant, missing_indicator, scaling/ },
    { what: "anything about moments", draft: said({ columns: [{ column: "seen", missingIndicator: true }] }), field: ".columns[0].missing_indicator", says: /"seen" .* datetime: nothing can be chosen/ },
    { what: "a constant beside the mean", draft: said({ constant: 0 }), field: ".constant", says: /set imputation to CONSTANT/ },
    { what: "a column's constant beside the median", draft: said({ imputation: "median", columns: [{ column: "mass", constant: 1 }] }), field: ".columns[0].constant", says: /column "mass" is MEDIAN/ },
    { what: "a constant that is no number", draft: said({ imputation: "constant", constant: NaN }), field: ".constant", says: /is NaN, it must be from/ },
    { what: "a constant beyond f32", draft: said({ columns: [{ column: "mass", imputation: "constant", constant: 1e39 }] }), field: ".columns[0].constant", says: /1e\+39 for column "mass"/ },
    { what: "too many categories", draft: said({ categoryCountMax: 1_001 }), field: ".category_count_max", says: /from 1 to 1000/ },
    { what: "half a word", draft: said({ columns: [{ column: "remark", wordCountMax: 0.5 }] }), field: ".columns[0].word_count_max", says: /whole number from 1 to 10000/ },
  ];
  for (const { what, draft, dataset = table, field, says } of refusals) {
    it(`is refused for ${what}`, () => {
      assert.throws(
        () => resolveSpec(draft, dataset),
        (error: unknown) => {
          assert.ok(error instanceof StatusError, String(error));
          assert.deepEqual([error.reason, error.metadata["field"]], ["FIELD_INVALID", `training_job.spec.preprocessing${field}`]);
          assert.match(error.message, says);
          return true;
        },
      );
    });
  }
});
