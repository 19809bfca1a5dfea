import { fileOf } from "./model-sections.ts";
import type { FieldReader } from "./field-reader.ts";

/** A voice activity detector that hears windows one after the other and carries its state from each to the next. */
export interface SpeechSection {
  readonly sampleRate: number;
  /** New samples of a window. */
  readonly windowSamples: number;
  /** Samples of the window before that are repeated at its beginning. */
  readonly contextSamples: number;
  /** Probability from which a window is speech; it ends below `threshold - 0.15`. */
  readonly threshold: number;
  readonly minSpeechMs: number;
  readonly minSilenceMs: number;
  /** Added to both ends of a segment. */
  readonly padMs: number;
  readonly inputs: { readonly audio: string; readonly state: string; readonly rate: string };
  readonly outputs: { readonly probability: string; readonly state: string };
}

/** A recogniser of single lines of text, whose output is decoded by connectionist temporal classification. */
export interface LineSection {
  readonly input: string | undefined;
  readonly output: string | undefined;
  readonly height: number;
  /** Fixed width; absent = as wide as the line. */
  readonly width: number | undefined;
  readonly widthMax: number;
  readonly colors: "rgb" | "bgr" | "gray";
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** File with one character a line, in the order of the classes. */
  readonly characters: string;
  /** Whether the class behind the last character is the space. */
  readonly space: boolean;
  /** Where the class "no character" stands. */
  readonly blank: "first" | "last";
}

/** Another deployment of the same project. */
export interface OrientationSection {
  readonly model: string;
  readonly height: number;
  readonly width: number;
  /** Probability from which a line counts as upside down. */
  readonly threshold: number;
}

/** A detector of lines on a page, by a map of probabilities; the lines are read by another model. */
export interface PageSection {
  readonly input: string | undefined;
  readonly output: string | undefined;
  readonly sideMax: number;
  /** Sides are rounded to multiples of it. */
  readonly multipleOf: number;
  readonly colors: "rgb" | "bgr";
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Probability from which a pixel is text. */
  readonly threshold: number;
  /** Mean probability that a box must have. */
  readonly boxThreshold: number;
  /** How far boxes grow: the map is shrunk by design. */
  readonly unclip: number;
  readonly minSide: number;
  readonly boxesMax: number;
  /** Lines that were read with less are left out. */
  readonly minProbability: number;
  /** Deployment of the recogniser, whose own manifest has the section line. */
  readonly recognizer: string;
  readonly orientation: OrientationSection | undefined;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function readSpeech(fields: FieldReader): SpeechSection {
  const inputs = fields.section("inputs");
  const outputs = fields.section("outputs");
  const section: SpeechSection = {
    sampleRate: fields.whole("sample_rate", 4_000, 192_000) ?? 16_000,
    windowSamples: fields.whole("window_samples", 1, 65_536) ?? 512,
    contextSamples: fields.whole("context_samples", 0, 65_536) ?? 64,
    threshold: fields.number("threshold", { min: 0, max: 1 }) ?? 0.5,
    minSpeechMs: fields.whole("min_speech_ms", 0, 60_000) ?? 250,
    minSilenceMs: fields.whole("min_silence_ms", 0, 60_000) ?? 100,
    padMs: fields.whole("pad_ms", 0, 10_000) ?? 30,
    inputs: { audio: inputs?.text("audio") ?? "input", state: inputs?.text("state") ?? "state", rate: inputs?.text("rate") ?? "sr" },
    outputs: { probability: outputs?.text("probability") ?? "output", state: outputs?.text("state") ?? "stateN" },
  };
  inputs?.finish();
  outputs?.finish();
  fields.finish();
  if (section.contextSamples > section.windowSamples) throw fields.refuse("context_samples", "must not exceed window_samples");
  return section;
}

export function readLine(fields: FieldReader): LineSection {
  const section: LineSection = {
    input: fields.text("input"),
    output: fields.text("output"),
    height: fields.whole("height", 8, 512) ?? 48,
    width: fields.whole("width", 8, 8_192),
    widthMax: fields.whole("max_width", 8, 8_192) ?? 3_200,
    colors: fields.oneOf("colors", ["rgb", "bgr", "gray"]) ?? "bgr",
    ...normalization(fields, [0.5], [0.5]),
    characters: fileOf(fields, "characters") ?? "characters.txt",
    space: fields.flag("space") ?? true,
    blank: fields.oneOf("blank", ["first", "last"]) ?? "first",
  };
  fields.finish();
  return section;
}

export function readPage(fields: FieldReader): PageSection {
  const recognizer = modelOf(fields, "recognizer");
  const section: PageSection = {
    input: fields.text("input"),
    output: fields.text("output"),
    sideMax: fields.whole("max_side", 32, 4_096) ?? 1_280,
    multipleOf: fields.whole("multiple_of", 1, 256) ?? 32,
    colors: fields.oneOf("colors", ["rgb", "bgr"]) ?? "bgr",
    ...normalization(fields, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    threshold: fields.number("threshold", { min: 0, max: 1 }) ?? 0.3,
    boxThreshold: fields.number("box_threshold", { min: 0, max: 1 }) ?? 0.5,
    unclip: fields.number("unclip", { min: 0, max: 10 }) ?? 1.9,
    minSide: fields.whole("min_side", 1, 1_000) ?? 3,
    boxesMax: fields.whole("max_boxes", 1, 5_000) ?? 1_000,
    minProbability: fields.number("min_probability", { min: 0, max: 1 }) ?? 0.5,
    recognizer,
    orientation: readOrientation(fields.section("orientation")),
  };
  fields.finish();
  return section;
}

function readOrientation(fields: FieldReader | undefined): OrientationSection | undefined {
  if (fields === undefined) return undefined;
  const section: OrientationSection = {
    model: modelOf(fields, "model"),
    height: fields.whole("height", 8, 512) ?? 48,
    width: fields.whole("width", 8, 2_048) ?? 192,
    threshold: fields.number("threshold", { min: 0, max: 1 }) ?? 0.9,
  };
  fields.finish();
  return section;
}

function modelOf(fields: FieldReader, key: string): string {
  const name = fields.text(key);
  if (name !== undefined && NAME.test(name)) return name;
  throw fields.refuse(key, name === undefined ? "is missing: name a deployment of this project" : "must be the name of a deployment of this project");
}

function normalization(fields: FieldReader, mean: readonly number[], std: readonly number[]): { scale: number; mean: readonly number[]; std: readonly number[] } {
  const values = { scale: fields.number("scale") ?? 1 / 255, mean: fields.numbers("mean", 3) ?? mean, std: fields.numbers("std", 3) ?? std };
  if (values.std.includes(0)) throw fields.refuse("std", "must not be 0: values are divided by it");
  return values;
}
