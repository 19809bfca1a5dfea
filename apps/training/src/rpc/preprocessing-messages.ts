// Preprocessing ↔ its record and draft.

import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Preprocessing_CategoryImputation,
  Preprocessing_Encoding,
  Preprocessing_Imputation,
  Preprocessing_Scaling,
  type ColumnPreprocessing,
  type Preprocessing,
  type PreprocessingSchema,
} from "@servable/contracts/training/v1/training_job";
import type { CategoryImputationKind, EncodingKind, ImputationKind, PreprocessingDraft, PreprocessingRecord, SaidSettings, ScalingKind } from "../domain/preprocessing-spec.ts";
import { numberOf, wordOf, type EnumWords } from "./enum-words.ts";

const IMPUTATIONS: EnumWords<ImputationKind, Preprocessing_Imputation> = [
  ["mean", Preprocessing_Imputation.MEAN],
  ["median", Preprocessing_Imputation.MEDIAN],
  ["constant", Preprocessing_Imputation.CONSTANT],
];
const SCALINGS: EnumWords<ScalingKind, Preprocessing_Scaling> = [
  ["standard", Preprocessing_Scaling.STANDARD],
  ["min_max", Preprocessing_Scaling.MIN_MAX],
  ["robust", Preprocessing_Scaling.ROBUST],
  ["none", Preprocessing_Scaling.NONE],
];
const CATEGORY_IMPUTATIONS: EnumWords<CategoryImputationKind, Preprocessing_CategoryImputation> = [
  ["most_frequent", Preprocessing_CategoryImputation.MOST_FREQUENT],
  ["own_category", Preprocessing_CategoryImputation.OWN_CATEGORY],
];
const ENCODINGS: EnumWords<EncodingKind, Preprocessing_Encoding> = [
  ["one_hot", Preprocessing_Encoding.ONE_HOT],
  ["ordinal", Preprocessing_Encoding.ORDINAL],
];

/** What the caller wrote of columns. */
export function preprocessingDraft(said: Preprocessing): PreprocessingDraft {
  return { ...settingsDraft(said), columns: said.columns.map((column) => ({ column: column.column, ...settingsDraft(column) })) };
}

/** How columns become features. */
export function preprocessingMessage({ columns, ...all }: PreprocessingRecord): MessageInitShape<typeof PreprocessingSchema> {
  return { ...settingsMessage(all), columns: columns.map(({ column, ...own }) => ({ column, ...settingsMessage(own) })) };
}

function settingsDraft(said: Preprocessing | ColumnPreprocessing): SaidSettings {
  return {
    imputation: wordOf(IMPUTATIONS, said.imputation),
    constant: said.constant,
    missingIndicator: said.missingIndicator,
    scaling: wordOf(SCALINGS, said.scaling),
    categoryImputation: wordOf(CATEGORY_IMPUTATIONS, said.categoryImputation),
    encoding: wordOf(ENCODINGS, said.encoding),
    categoryCountMax: said.categoryCountMax,
    wordCountMax: said.wordCountMax,
  };
}

interface SettingsMessage {
  imputation?: Preprocessing_Imputation;
  constant?: number;
  missingIndicator?: boolean;
  scaling?: Preprocessing_Scaling;
  categoryImputation?: Preprocessing_CategoryImputation;
  encoding?: Preprocessing_Encoding;
  categoryCountMax?: number;
  wordCountMax?: number;
}

function settingsMessage({ imputation, constant, missingIndicator, scaling, categoryImputation, encoding, categoryCountMax, wordCountMax }: SaidSettings): SettingsMessage {
  return {
    ...(imputation === undefined ? {} : { imputation: numberOf(IMPUTATIONS, imputation) }),
    ...(constant === undefined ? {} : { constant }),
    ...(missingIndicator === undefined ? {} : { missingIndicator }),
    ...(scaling === undefined ? {} : { scaling: numberOf(SCALINGS, scaling) }),
    ...(categoryImputation === undefined ? {} : { categoryImputation: numberOf(CATEGORY_IMPUTATIONS, categoryImputation) }),
    ...(encoding === undefined ? {} : { encoding: numberOf(ENCODINGS, encoding) }),
    ...(categoryCountMax === undefined ? {} : { categoryCountMax }),
    ...(wordCountMax === undefined ? {} : { wordCountMax }),
  };
}
