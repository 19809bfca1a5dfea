import { checkId } from "@servable/aip";
import { StatusError } from "@servable/errors";
import { PART } from "@servable/preprocessing";
import type { BlobStore } from "@servable/storage";
import type { DatasetCatalog } from "./dataset-catalog.ts";
import type { DatasetSplitter, SplitDraft } from "./dataset-splitter.ts";
import type { DatasetRecord, SplitRecord } from "./records.ts";

/** Splits that one version may have. */
const SPLITS_MAX = 100;

/** What the splits stand on. */
export interface DatasetSplitsDeps {
  readonly datasets: DatasetCatalog;
  readonly blobs: BlobStore;
  readonly divide: DatasetSplitter;
  readonly now: () => number;
}

/**
 * How the rows of data sets are divided into training, validation and test: made once, stored by digest, and the same for
 * every job and study that names the split.
 */
export class DatasetSplits {
  readonly #deps: DatasetSplitsDeps;

  constructor(deps: DatasetSplitsDeps) {
    this.#deps = deps;
  }

  /** Divides the rows of a version. @throws StatusError `DATASET_NOT_FOUND`, `ALREADY_EXISTS`, `FIELD_INVALID`, `SPLIT_IMPOSSIBLE` */
  async create(parent: string, splitId: string, draft: SplitDraft, signal: AbortSignal): Promise<SplitRecord> {
    checkId("split.split_id", splitId);
    const { datasets, divide } = this.#deps;
    const dataset = await datasets.get(parent);
    checkFree(dataset, splitId);
    const { method, column } = draft;
    if (method === "random" && column !== "") throw invalid("split.column", "is not looked at by a random split: leave it out, or choose a stratified, group, time or given one");
    if (column !== "" && dataset.columns.every(({ name }) => name !== column)) throw invalid("split.column", `"${column}" is no column of ${dataset.name}`);
    const assignment = await divide({ ...datasets.inputOf(dataset), rowCount: dataset.rowCount }, draft, signal);
    return this.#keep(dataset, splitId, draft, assignment);
  }

  /** Keeps a division that was decided elsewhere: the part of each row, as PART numbers them. @throws StatusError `ALREADY_EXISTS` */
  async assign(dataset: DatasetRecord, splitId: string, assignment: Uint8Array): Promise<SplitRecord> {
    return this.#keep(dataset, splitId, { method: "given", column: "", validationFraction: 0, testFraction: 0, seed: 0 }, assignment);
  }

  async #keep(dataset: DatasetRecord, splitId: string, { method, column, validationFraction, testFraction, seed }: SplitDraft, assignment: Uint8Array): Promise<SplitRecord> {
    const { datasets, blobs, now } = this.#deps;
    if (assignment.length !== dataset.rowCount) throw new Error(`a split of ${assignment.length} rows for ${dataset.rowCount}`);
    return datasets.keeping(async (stored) => {
      const blob = await blobs.put(chunksOf(assignment), {});
      stored.push({ role: "split", ...blob });
      const split: SplitRecord = {
        splitId,
        method,
        column,
        validationFraction,
        testFraction,
        seed,
        sha256: blob.sha256,
        trainingRowCount: countOf(assignment, PART.training),
        validationRowCount: countOf(assignment, PART.validation),
        testRowCount: countOf(assignment, PART.test),
        createTimeMs: now(),
      };
      await datasets.change(dataset, (current) => {
        checkFree(current, splitId);
        return { ...current, splits: [...current.splits, split].sort((a, b) => (a.splitId < b.splitId ? -1 : 1)) };
      });
      return split;
    });
  }

  /** The file of a version's split, for those who read it in another process. @throws StatusError `FIELD_INVALID` when the version has none of that name */
  fileOf(dataset: DatasetRecord, splitId: string): { readonly path: string; readonly sha256: string } {
    const { sha256 } = splitOf(dataset, splitId);
    return { path: this.#deps.blobs.path(sha256), sha256 };
  }
}

/** A version's split by its id. @throws StatusError `FIELD_INVALID` */
export function splitOf(dataset: DatasetRecord, splitId: string): SplitRecord {
  const split = dataset.splits.find((each) => each.splitId === splitId);
  const known = dataset.splits.map((each) => `"${each.splitId}"`).join(", ");
  if (split === undefined) throw invalid("training_job.spec.split", `"${splitId}" is no split of ${dataset.name} version ${dataset.version}: it has ${known === "" ? "none; make one with `servable datasets split`" : known}`);
  return split;
}

function checkFree(dataset: DatasetRecord, splitId: string): void {
  if (dataset.splits.some((split) => split.splitId === splitId)) throw new StatusError("ALREADY_EXISTS", `${dataset.name} version ${dataset.version} has a split "${splitId}" already: splits do not change, choose another id`, { metadata: { resource: splitId } });
  if (dataset.splits.length >= SPLITS_MAX) throw new StatusError("DATASET_TOO_LARGE", `${dataset.name} version ${dataset.version} has ${SPLITS_MAX} splits, more are not kept`);
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}

function countOf(assignment: Uint8Array, part: number): number {
  return assignment.reduce((count, each) => count + (each === part ? 1 : 0), 0);
}

function invalid(field: string, problem: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${problem}`, { metadata: { field } });
}
