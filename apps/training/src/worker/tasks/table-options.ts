import type { CategoricalOptions, NumericOptions, TableOptions, WordsOptions } from "@servable/preprocessing";
import { PREPROCESSING_DEFAULTS, type PreprocessingRecord, type SaidSettings } from "../../domain/preprocessing-spec.ts";

/** What a job says of its columns, in the words of the library; a job of an older service says nothing. */
export function tableOptions(said: PreprocessingRecord = PREPROCESSING_DEFAULTS): TableOptions {
  const { columns, ...all } = said;
  return {
    numeric: numeric(all),
    categorical: categorical(all),
    text: words(all),
    // A column has the fields of its kind alone, so that the three do not meet in one.
    columns: Object.fromEntries(columns.map(({ column, ...own }) => [column, { ...numeric(own), ...categorical(own), ...words(own) }])),
  };
}

function numeric({ imputation, constant, missingIndicator, scaling }: SaidSettings): Partial<NumericOptions> {
  // A column may name a constant of its own where CONSTANT holds for all.
  const impute = imputation === "constant" || imputation === undefined ? constant : imputation;
  return {
    ...(impute === undefined ? {} : { impute }),
    ...(missingIndicator === undefined ? {} : { indicator: missingIndicator }),
    ...(scaling === undefined ? {} : { scale: scaling }),
  };
}

function categorical({ categoryImputation, encoding, categoryCountMax }: SaidSettings): Partial<CategoricalOptions> {
  return {
    ...(categoryImputation === undefined ? {} : { impute: categoryImputation === "own_category" ? "category" : categoryImputation }),
    ...(encoding === undefined ? {} : { encode: encoding }),
    ...(categoryCountMax === undefined ? {} : { categoriesMax: categoryCountMax }),
  };
}

function words({ wordCountMax }: SaidSettings): Partial<WordsOptions> {
  return wordCountMax === undefined ? {} : { wordsMax: wordCountMax };
}
