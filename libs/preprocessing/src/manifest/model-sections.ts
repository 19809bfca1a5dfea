import { invalid, type FieldReader } from "./field-reader.ts";

/** How a picture becomes an input. What is absent is taken from the model's signature. */
export interface ImageSection {
  readonly input: string | undefined;
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly fit: "crop" | "stretch" | "letterbox";
  readonly shortSide: number | undefined;
  readonly fill: number;
  readonly resample: "nearest" | "bilinear" | "bicubic" | "lanczos";
  readonly colors: "rgb" | "bgr" | "gray" | undefined;
  readonly layout: "nchw" | "nhwc" | undefined;
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** What stands behind transparent pixels; absent = their colours are taken as they are stored, as Pillow does. */
  readonly background: number | undefined;
}

/** How sentences become inputs. */
export interface TokenizerSection {
  readonly file: string;
  /** Absent = as the tokenizer.json says, else 512. */
  readonly tokensMax: number | undefined;
  readonly specialTokens: boolean;
  /** Put before every text. */
  readonly prefix: string;
  /** Names of the graph's inputs. */
  readonly inputs: { readonly ids: string; readonly mask: string; readonly types: string };
}

/** Names of classes: written in the manifest, or in a file of the version. */
export type Labels = { readonly kind: "list"; readonly names: readonly string[] } | { readonly kind: "file"; readonly file: string; /** Where in a JSON file the list stands. */ readonly key: string | undefined };

/** How scores become labels. */
export interface ClassificationSection {
  readonly output: string | undefined;
  /** `logits` go through softmax, `sigmoid` are logits of labels that do not exclude each other, `probabilities` are taken as they are. */
  readonly scores: "logits" | "sigmoid" | "probabilities";
  readonly labels: Labels;
  readonly topK: number;
}

/** How a model's output becomes one vector a text. */
export interface EmbeddingSection {
  readonly output: string | undefined;
  /** Absent = `none` for one vector a text, `mean` for one a token. */
  readonly pooling: "none" | "mean" | "cls" | "last" | undefined;
  readonly normalize: boolean;
}

const SIDE_MAX = 8_192;
const CHANNELS_MAX = 3;
const TOKENS_MAX = 131_072;
const LABELS_MAX = 100_000;
const PIXEL_MAX = 255;

export function readImage(fields: FieldReader): ImageSection {
  const section: ImageSection = {
    input: fields.text("input"),
    width: fields.whole("width", 1, SIDE_MAX),
    height: fields.whole("height", 1, SIDE_MAX),
    fit: fields.oneOf("fit", ["crop", "stretch", "letterbox"]) ?? "crop",
    shortSide: fields.whole("short_side", 1, SIDE_MAX),
    fill: fields.whole("fill", 0, PIXEL_MAX) ?? 0,
    resample: fields.oneOf("resample", ["nearest", "bilinear", "bicubic", "lanczos"]) ?? "bilinear",
    colors: fields.oneOf("colors", ["rgb", "bgr", "gray"]),
    layout: fields.oneOf("layout", ["nchw", "nhwc"]),
    scale: fields.number("scale") ?? 1,
    mean: fields.numbers("mean", CHANNELS_MAX) ?? [0],
    std: fields.numbers("std", CHANNELS_MAX) ?? [1],
    background: fields.whole("background", 0, PIXEL_MAX),
  };
  fields.finish();
  if (section.std.includes(0)) throw fields.refuse("std", "must not be 0: values are divided by it");
  for (const [key, list] of [["mean", section.mean], ["std", section.std]] as const) {
    const channels = section.colors === "gray" ? 1 : CHANNELS_MAX;
    if (list.length !== 1 && list.length !== channels) throw fields.refuse(key, `must be one number or ${channels}, one for each channel`);
  }
  if (section.shortSide !== undefined && section.fit !== "crop") throw fields.refuse("short_side", "goes with fit: crop only");
  if (section.shortSide !== undefined && Math.max(section.width ?? 0, section.height ?? 0) > section.shortSide) throw fields.refuse("short_side", "must not be smaller than width and height, which are cut out of it");
  return section;
}

export function readTokenizer(fields: FieldReader): TokenizerSection {
  const inputs = fields.section("inputs");
  const section: TokenizerSection = {
    file: fileOf(fields, "file") ?? "tokenizer.json",
    tokensMax: fields.whole("max_tokens", 1, TOKENS_MAX),
    specialTokens: fields.flag("special_tokens") ?? true,
    prefix: fields.text("prefix") ?? "",
    inputs: { ids: inputs?.text("ids") ?? "input_ids", mask: inputs?.text("mask") ?? "attention_mask", types: inputs?.text("types") ?? "token_type_ids" },
  };
  inputs?.finish();
  fields.finish();
  return section;
}

export function readClassification(fields: FieldReader): ClassificationSection {
  const section: ClassificationSection = {
    output: fields.text("output"),
    scores: fields.oneOf("scores", ["logits", "sigmoid", "probabilities"]) ?? "logits",
    labels: readLabels(fields),
    topK: fields.whole("top_k", 1, LABELS_MAX) ?? 5,
  };
  fields.finish();
  return section;
}

export function readEmbedding(fields: FieldReader): EmbeddingSection {
  const section: EmbeddingSection = { output: fields.text("output"), pooling: fields.oneOf("pooling", ["none", "mean", "cls", "last"]), normalize: fields.flag("normalize") ?? true };
  fields.finish();
  return section;
}

/** A list, the name of a file with one label a line, or `{file, key}` of a JSON file. */
function readLabels(fields: FieldReader): Labels {
  const value = fields.raw("labels");
  if (value === undefined) throw fields.refuse("labels", "is missing: write a list, or the name of a file with one label a line");
  if (typeof value === "string") return { kind: "file", file: fileOf(fields, "labels") as string, key: undefined };
  if (!Array.isArray(value)) {
    const section = fields.section("labels") as FieldReader;
    const file = fileOf(section, "file");
    if (file === undefined) throw section.refuse("file", "is missing");
    const labels: Labels = { kind: "file", file, key: section.text("key") };
    section.finish();
    return labels;
  }
  const names = value.map((item: unknown) => (typeof item === "number" || typeof item === "boolean" ? String(item) : item));
  if (names.length === 0 || names.length > LABELS_MAX || names.some((item) => typeof item !== "string")) throw fields.refuse("labels", `must be a list of 1 to ${LABELS_MAX} texts, the name of a file, or {file, key}`);
  return { kind: "list", names: names as string[] };
}

/** The name of a file of the version. */
export function fileOf(fields: FieldReader, key: string): string | undefined {
  const name = fields.text(key);
  if (name === undefined || isFileName(name)) return name;
  throw invalid(fields.pathOf(key), `is "${name.slice(0, 60)}", but must be the name of a file that lies beside servable.yaml, of letters, digits, ".", "_" and "-"`);
}

/** What the registry takes as an artifact's path, without folders that lead upwards. */
function isFileName(name: string): boolean {
  return /^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(name) && name.length <= 200 && !name.split("/").some((part) => part === "." || part === "..");
}
