import { StatusError } from "@servable/errors";
import { MANIFEST_FILE, readTaskManifest, type Labels, type Task, type TaskManifest } from "@servable/preprocessing";
import type { Tokenizer } from "@servable/tokenizers";
import type { TaskModel } from "./task-model.ts";

/** What a version says of itself, read once and kept as long as the version is loaded. */
export interface TaskFiles {
  readonly manifest: TaskManifest;
  tokenizer(): Promise<Tokenizer>;
  /** Names of the classes, in the order of the model's output. */
  labels(): Promise<readonly string[]>;
  /** Characters that a recogniser knows, in the order of its classes. */
  characters(): Promise<readonly string[]>;
}

const filesOfModels = new WeakMap<TaskModel, Promise<TaskFiles>>();
const LABELS_MAX = 100_000;

/**
 * The files of a version that serves a task.
 *
 * @throws StatusError `TASK_NOT_DECLARED`, `TASK_MANIFEST_INVALID`, `TOKENIZER_INVALID`
 */
export async function taskFilesOf(model: TaskModel, task: Task): Promise<TaskFiles> {
  const found = await manifestFilesOf(model, task);
  if (found.manifest.tasks.includes(task)) return found;
  throw notDeclared(model, task, `its ${MANIFEST_FILE} declares ${found.manifest.tasks.join(", ")}`);
}

/**
 * The files of a version that has a manifest, whatever task it declares.
 *
 * @param use what they are read for, in the complaint
 * @throws StatusError `TASK_NOT_DECLARED`, `TASK_MANIFEST_INVALID`
 */
export async function manifestFilesOf(model: TaskModel, use: string): Promise<TaskFiles> {
  let files = filesOfModels.get(model);
  if (files === undefined) filesOfModels.set(model, (files = open(model)));
  // What failed is tried again: a disk may come back, a file may not change.
  files.catch(() => filesOfModels.delete(model));
  return files;

  async function open(source: TaskModel): Promise<TaskFiles> {
    const text = await source.readFile(MANIFEST_FILE);
    if (text === undefined) throw notDeclared(source, use, `it has no ${MANIFEST_FILE}; import it with one, see the guide to ready-made tasks`);
    const manifest = readTaskManifest(text.toString("utf8"));
    const { tokenizer, classification, line } = manifest;
    return {
      manifest,
      tokenizer: once(async () => (await import("@servable/tokenizers")).createTokenizer(await readText(source, tokenizer?.file ?? "", "tokenizer.file"))),
      labels: once(async () => (classification === undefined ? [] : readLabels(source, classification.labels))),
      characters: once(async () => linesOf(await readText(source, line?.characters ?? "", "line.characters"))),
    };
  }
}

function notDeclared({ name }: TaskModel, task: string, why: string): StatusError {
  return new StatusError("TASK_NOT_DECLARED", `'${name}' does not serve ${task}: ${why}`, { metadata: { model: name, task } });
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  return () => (value ??= read());
}

async function readText(model: TaskModel, file: string, field: string): Promise<string> {
  const bytes = await model.readFile(file);
  if (bytes !== undefined) return bytes.toString("utf8").replace(/^\ufeff/, "");
  throw new StatusError("TASK_MANIFEST_INVALID", `${MANIFEST_FILE}: ${field} is "${file}", but '${model.name}' version ${model.version} has no such file: import it together with the model`, { metadata: { field } });
}

async function readLabels(model: TaskModel, labels: Labels): Promise<readonly string[]> {
  if (labels.kind === "list") return labels.names;
  const text = await readText(model, labels.file, "classification.labels");
  if (!labels.file.endsWith(".json")) return linesOf(text);
  const refuse = (what: string): StatusError => new StatusError("TASK_MANIFEST_INVALID", `${labels.file} ${what}`, { metadata: { field: "classification.labels" } });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw refuse(`is no valid JSON: ${(error as Error).message}`);
  }
  const list = labels.key === undefined ? value : (value as Record<string, unknown> | null)?.[labels.key];
  // Hugging Face writes {"0": "first", "1": "second"}.
  const names: readonly unknown[] = Array.isArray(list) ? list : typeof list === "object" && list !== null ? Object.values(list) : [];
  if (names.length === 0 || names.length > LABELS_MAX || names.some((name) => typeof name !== "string")) throw refuse(`holds no list of texts${labels.key === undefined ? "" : ` under "${labels.key}"`}`);
  return names as readonly string[];
}

/** Lines without the empty one behind the last line end. */
function linesOf(text: string): string[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
