// A task manifest says what the numbers of a model mean: it stands as servable.yaml beside model.onnx, so that callers may
// send pictures and sentences. It is read strictly: a misspelt field is an error, not a silent default.

import { parse } from "yaml";
import { FieldReader, invalid } from "./field-reader.ts";
import { readClassification, readEmbedding, readImage, readTokenizer, type ClassificationSection, type EmbeddingSection, type ImageSection, type TokenizerSection } from "./model-sections.ts";
import { readLine, readPage, readSpeech, type LineSection, type PageSection, type SpeechSection } from "./recognition-sections.ts";

/** What a model can be asked for in words of people. */
export const TASKS = ["image-classification", "text-classification", "text-embedding", "speech-detection", "text-recognition"] as const;

/** One of the tasks. */
export type Task = (typeof TASKS)[number];

/** File name of a manifest within a version. */
export const MANIFEST_FILE = "servable.yaml";

/** What a model does and how. Sections are there where a task needs them. */
export interface TaskManifest {
  readonly tasks: readonly Task[];
  readonly image?: ImageSection;
  readonly tokenizer?: TokenizerSection;
  readonly classification?: ClassificationSection;
  readonly embedding?: EmbeddingSection;
  readonly speech?: SpeechSection;
  readonly line?: LineSection;
  readonly page?: PageSection;
}

const MANIFEST_CHARS_MAX = 256 * 1024;

/** Sections that a task must have, and those that it may have. */
const SECTIONS: Readonly<Record<Task, readonly (keyof TaskManifest)[]>> = {
  "image-classification": ["image", "classification"],
  "text-classification": ["tokenizer", "classification"],
  "text-embedding": ["tokenizer", "embedding"],
  "speech-detection": ["speech"],
  "text-recognition": ["line", "page"],
};

/** Reads a manifest. @throws StatusError `TASK_MANIFEST_INVALID` naming the field */
export function readTaskManifest(text: string): TaskManifest {
  const fields = new FieldReader(parseYaml(text));
  const version = fields.raw("servable");
  if (version !== undefined && version !== 1) throw fields.refuse("servable", "must be 1, the only version of this format");
  const tasks = readTasks(fields);
  const sections = {
    image: fields.section("image"), tokenizer: fields.section("tokenizer"), classification: fields.section("classification"), embedding: fields.section("embedding"),
    speech: fields.section("speech"), line: fields.section("line"), page: fields.section("page"),
  };
  fields.finish();
  for (const name of Object.keys(sections) as (keyof typeof sections)[]) {
    if (sections[name] !== undefined && !tasks.some((task) => SECTIONS[task].includes(name))) throw invalid(name, `belongs to no task of this file: it says ${tasks.join(", ")}`);
  }
  const wants = (task: Task): boolean => tasks.includes(task);
  const empty = (name: string): FieldReader => new FieldReader({}, name);
  const classifies = wants("image-classification") || wants("text-classification");
  if (classifies && sections.classification === undefined) throw invalid("classification", "is missing: it names the labels");
  if ((wants("text-classification") || wants("text-embedding")) && sections.tokenizer === undefined) throw invalid("tokenizer", "is missing: it names the tokenizer.json");
  if (wants("text-recognition") && (sections.line === undefined) === (sections.page === undefined)) throw invalid("task", "text-recognition takes either the section line (a recogniser of single lines) or the section page (a detector of lines)");
  return {
    tasks,
    ...(wants("image-classification") && { image: readImage(sections.image ?? empty("image")) }),
    ...(sections.tokenizer && { tokenizer: readTokenizer(sections.tokenizer) }),
    ...(sections.classification && { classification: readClassification(sections.classification) }),
    ...(wants("text-embedding") && { embedding: readEmbedding(sections.embedding ?? empty("embedding")) }),
    ...(wants("speech-detection") && { speech: readSpeech(sections.speech ?? empty("speech")) }),
    ...(sections.line && { line: readLine(sections.line) }),
    ...(sections.page && { page: readPage(sections.page) }),
  };
}

/** Files of the version that a manifest names, in no order. */
export function filesOf({ tokenizer, classification, line }: TaskManifest): string[] {
  const labels = classification?.labels;
  return [tokenizer?.file, labels?.kind === "file" ? labels.file : undefined, line?.characters].filter((file) => file !== undefined);
}

/** Other deployments of the project that a manifest's tasks call. */
export function modelsOf({ page }: TaskManifest): string[] {
  return [page?.recognizer, page?.orientation?.model].filter((model) => model !== undefined);
}

function parseYaml(text: string): unknown {
  if (text.length > MANIFEST_CHARS_MAX) throw invalid(MANIFEST_FILE, `has more than ${MANIFEST_CHARS_MAX} characters`);
  try {
    // Aliases could make a small file large.
    return parse(text, { maxAliasCount: 0, logLevel: "error" }) as unknown;
  } catch (error) {
    throw invalid(MANIFEST_FILE, `is no valid YAML: ${(error as Error).message.split("\n")[0]?.replace(/:$/, "") ?? ""}`);
  }
}

function readTasks(fields: FieldReader): readonly Task[] {
  const value = fields.raw("task");
  if (value === undefined) throw fields.refuse("task", `is missing: it must be one of ${TASKS.join(", ")}`);
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const tasks = list.map((item) => TASKS.find((task) => task === item));
  if (list.length === 0 || tasks.includes(undefined) || new Set(tasks).size !== tasks.length) throw fields.refuse("task", `must be one of ${TASKS.join(", ")}, or a list of some`);
  return tasks as readonly Task[];
}
