import { CATEGORIES_MAX } from "@servable/preprocessing";
import type { ColumnKind, ColumnRecord } from "../records.ts";
import { isBooleanWord, momentOf, numberOf, textOf } from "./cells.ts";
import { shown } from "./malformed.ts";
import type { Cell } from "./row-source.ts";
import { detached } from "./text-pieces.ts";
import { ValueSample } from "./value-sample.ts";

/** Columns with more distinct texts than this share of the rows are names or free text, not categories. */
const CATEGORIES_SHARE_MAX = 0.5;
const CATEGORIES_ALWAYS = 20;
/** Distinct texts that are counted where nobody said that they are categories; where somebody did. */
const DISTINCT_MAX = CATEGORIES_MAX + 1;
const DISTINCT_STATED_MAX = 100_000;
/** Texts of so many words on average are sentences; shorter ones that do not repeat are names. */
const SENTENCE_WORDS_MIN = 3;
/** A column with fewer odd cells than this share is nearly of a kind, which is worth a hint. */
const ODD_SHARE_MAX = 0.05;

/**
 * A column seen cell by cell: what kind it is and what its values are like, in one pass and in memory that does not grow with
 * the rows. All kinds are followed at once, until the last cell says which it was.
 */
export class ColumnProfile {
  readonly name: string;
  readonly #stated: ColumnKind | undefined;
  readonly #counts = new Map<string, number>();
  readonly #numbers = new ValueSample();
  readonly #moments = new ValueSample();
  #rows = 0;
  #present = 0;
  #allBooleans = true;
  #allCounted = true;
  #lengths = 0;
  #words = 0;
  #firstOdd: { readonly place: string; readonly text: string } | undefined;

  constructor(name: string, stated: ColumnKind | undefined) {
    this.name = name;
    this.#stated = stated;
  }

  /** The cell of a row; it has been checked against the stated kind. */
  add(cell: Cell, place: () => string): void {
    this.#rows++;
    if (cell === undefined) return;
    this.#present++;
    const number = numberOf(cell);
    if (!Number.isNaN(number)) this.#numbers.add(number);
    else {
      const moment = momentOf(cell);
      if (!Number.isNaN(moment)) this.#moments.add(moment);
    }
    if (this.#stated === "ignored") return;
    const text = textOf(cell);
    if (Number.isNaN(number)) this.#firstOdd ??= { place: place(), text: shown(text) };
    this.#lengths += text.length;
    if (typeof cell === "string") this.#words += wordCount(text);
    if (this.#allBooleans && typeof cell !== "boolean" && !isBooleanWord(text)) this.#allBooleans = false;
    this.#count(text);
  }

  /** Rows of before the column first came. */
  addMissing(rows: number): void {
    this.#rows += rows;
  }

  /** The column as the record has it. */
  finish(): ColumnRecord {
    const kind = this.#stated ?? this.#inferred();
    const values = kind === "numeric" ? this.#numbers : kind === "datetime" ? this.#moments : undefined;
    const ordered = kind === "categorical" || kind === "boolean" ? [...this.#counts].sort(([a, countA], [b, countB]) => countB - countA || (a < b ? -1 : 1)).slice(0, CATEGORIES_MAX) : [];
    return {
      name: this.name,
      kind,
      missingCount: this.#rows - this.#present,
      categories: ordered.map(([text]) => text),
      mean: kind === "numeric" ? this.#numbers.mean : 0,
      standardDeviation: kind === "numeric" ? this.#numbers.standardDeviation : 0,
      statistics: {
        presentCount: this.#present,
        distinctCount: Math.min(this.#counts.size, DISTINCT_MAX),
        ...(values === undefined || values.count === 0 ? {} : { min: values.min, max: values.max }),
        ...(values?.distribution() ?? { quantiles: [], histogramEdges: [], histogramShares: [] }),
        categoryCounts: ordered.map(([, count]) => count),
        meanLength: kind === "numeric" || kind === "datetime" ? 0 : this.#lengths / Math.max(1, this.#present),
      },
    };
  }

  /** What people should know before they train on the column. */
  warnings(): string[] {
    if (this.#stated === "ignored") return [];
    if (this.#present === 0) return [`column "${this.name}" has no value in any row: declare it ignored, or jobs that would use it are refused`];
    if (this.#counts.size === 1) return [`column "${this.name}" is ${shown([...this.#counts.keys()][0] ?? "")} in all rows that have a value: it says nothing`];
    const odd = this.#present - this.#numbers.count;
    if (this.#stated === undefined && odd > 0 && odd <= this.#present * ODD_SHARE_MAX && this.#firstOdd !== undefined) {
      return [`column "${this.name}" is numbers but for ${odd} of ${this.#present} cells, first ${this.#firstOdd.place}: ${this.#firstOdd.text}; if such cells mean "missing", say so (missing_values), or declare the column numeric`];
    }
    return [];
  }

  #count(text: string): void {
    if (!this.#allCounted) return;
    const count = this.#counts.get(text);
    if (count !== undefined) {
      this.#counts.set(text, count + 1);
      return;
    }
    this.#counts.set(detached(text), 1);
    if (this.#counts.size >= (this.#stated === "categorical" ? DISTINCT_STATED_MAX : DISTINCT_MAX)) this.#allCounted = false;
  }

  /** Numbers where every present cell is one; yes and no; moments; categories where texts repeat; sentences; else ignored. */
  #inferred(): ColumnKind {
    if (this.#present === this.#numbers.count) return "numeric";
    if (this.#allBooleans && this.#counts.size <= 2) return "boolean";
    if (this.#present === this.#moments.count) return "datetime";
    const distinct = this.#counts.size;
    if (distinct <= CATEGORIES_ALWAYS || (distinct <= CATEGORIES_MAX && distinct <= this.#present * CATEGORIES_SHARE_MAX)) return "categorical";
    return this.#words >= this.#present * SENTENCE_WORDS_MIN ? "text" : "ignored";
  }
}

function wordCount(text: string): number {
  let count = 1;
  for (let at = text.indexOf(" "); at >= 0; at = text.indexOf(" ", at + 1)) count++;
  return count;
}
