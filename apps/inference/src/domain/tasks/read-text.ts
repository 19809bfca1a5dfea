// Text is read in up to three steps, each a model of its own: a detector finds lines on the page, an optional one says
// which of them stand upside down, a recogniser reads them. The detector's manifest names the other deployments; all of
// them run through their own queues, so that lines of several callers share batches.

import { StatusError } from "@servable/errors";
import type { CutLine, ImageDecoder, LineSpec, Picture, Point, Quad } from "@servable/images";
import type { LineSection, OrientationSection, PageSection } from "@servable/preprocessing";
import type { InferContext } from "../executors/executor.ts";
import { ctcDecode, type DecodedLine } from "./ctc-decode.ts";
import { batchMax, eachOf, numbersOf, pickTensor, runModel } from "./run-model.ts";
import { taskFilesOf } from "./task-files.ts";
import type { TaskDeps, TaskModel } from "./task-model.ts";
import { textBoxes } from "./text-boxes.ts";

/** One line with its place in the picture that was sent. */
export interface ReadLine extends DecodedLine {
  readonly corners: Quad;
}

/** A picture of one line may be long. */
const LINE_SIDE_MAX = 8_192;
/** Lines of one batch: their widths are made equal, so more would waste work. */
const LINES_MAX = 8;
const GROUPS_AT_ONCE = 2;

/** Reads the text of a picture. @throws StatusError `TASK_NOT_DECLARED`, `IMAGE_INVALID` and what the models raise */
export async function readText(deps: TaskDeps, model: TaskModel, file: Uint8Array, context: InferContext): Promise<ReadLine[]> {
  const { manifest } = await taskFilesOf(model, "text-recognition");
  if (manifest.line !== undefined) {
    const { picture, width, height } = await deps.images.picture(file, LINE_SIDE_MAX, context.signal);
    const [line] = await readLines(deps.images, model, picture, [wholeOf(picture)], context);
    return line === undefined || line.text === "" ? [] : [{ ...line, corners: wholeOf({ width, height }) }];
  }
  if (manifest.page === undefined) throw new TypeError("a manifest of text-recognition has one of the sections");
  return readPage(deps, model, manifest.page, file, context);
}

async function readPage({ images, resolve }: TaskDeps, detector: TaskModel, page: PageSection, file: Uint8Array, context: InferContext): Promise<ReadLine[]> {
  const recognizer = helper(resolve, page.recognizer, "page.recognizer", context);
  const orientation = page.orientation === undefined ? undefined : { model: helper(resolve, page.orientation.model, "page.orientation.model", context), section: page.orientation };
  const { picture, width, height } = await images.picture(file, page.sideMax, context.signal);
  const found = await findLines(images, detector, page, picture, context);
  const upright = orientation === undefined ? found : await turnUpright(images, orientation.model, orientation.section, picture, found, context);
  const lines = await readLines(images, recognizer, picture, upright, context);
  const scale = { x: width / picture.width, y: height / picture.height };
  const read = lines
    .map((line, index): ReadLine => ({ ...line, corners: mapQuad(upright[index] as Quad, ({ x, y }) => ({ x: x * scale.x, y: y * scale.y })) }))
    .filter(({ text, probability }) => text !== "" && probability >= page.minProbability);
  // A page that lies upside down is read from its own top.
  const turned = read.filter(({ corners: [a, , , d] }) => a.y > d.y).length;
  return turned * 2 > read.length ? read.reverse() : read;
}

function helper(resolve: TaskDeps["resolve"], name: string, field: string, { project }: InferContext): TaskModel {
  try {
    return resolve(project, name, "");
  } catch (error) {
    if (!(error instanceof StatusError) || error.reason !== "MODEL_NOT_FOUND") throw error;
    throw new StatusError("MODEL_NOT_FOUND", `the task needs the model '${name}' (servable.yaml: ${field}), which this replica does not serve: deploy it too`, { metadata: { model: name, field }, cause: error });
  }
}

/** Boxes around lines, in the picture's pixels. */
async function findLines(images: ImageDecoder, detector: TaskModel, page: PageSection, picture: Picture, context: InferContext): Promise<Quad[]> {
  const input = pickTensor(detector, "inputs", page.input, "page.input");
  const output = pickTensor(detector, "outputs", page.output, "page.output");
  const rounded = (side: number): number => Math.max(page.multipleOf, Math.round(side / page.multipleOf) * page.multipleOf);
  const [width, height] = [rounded(picture.width), rounded(picture.height)];
  const { scale, mean, std, colors } = page;
  const tensor = await images.tensor(picture, { width, height, fit: "stretch", shortSide: undefined, fill: 0, resample: "bilinear", colors, layout: "nchw", datatype: "FP32", scale, mean, std, background: 255 }, context.signal);
  const outputs = await runModel(detector, [{ name: input.name, datatype: "FP32", shape: [1, ...tensor.shape], data: tensor.data }], [output.name], 1, context);
  const { values, shape } = numbersOf(outputs, output.name);
  const [mapHeight = 0, mapWidth = 0] = shape.slice(-2);
  if (values.length !== mapWidth * mapHeight) throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: page.output "${output.name}" is no map of one picture: it has the shape [${shape.join(", ")}]`, { metadata: { field: "page.output" } });
  const back = { x: picture.width / mapWidth, y: picture.height / mapHeight };
  const inside = (point: Point): Point => ({ x: Math.min(Math.max(point.x * back.x, 0), picture.width), y: Math.min(Math.max(point.y * back.y, 0), picture.height) });
  return textBoxes(values, mapWidth, mapHeight, page).map((box) => mapQuad(box, inside));
}

/** Lines that stand upside down get their corners turned around. */
async function turnUpright(images: ImageDecoder, model: TaskModel, section: OrientationSection, picture: Picture, quads: readonly Quad[], context: InferContext): Promise<Quad[]> {
  const output = pickTensor(model, "outputs", undefined, "page.orientation.model");
  const spec: LineSpec = { ...lineSpecOf({ ...LIKE_LINES, height: section.height, width: section.width, widthMax: section.width }) };
  const scores = await runLines(images, model, undefined, spec, picture, quads, [output.name], context, (outputs, row) => {
    const { values, shape } = numbersOf(outputs, output.name);
    return values[row * (shape.at(-1) ?? 0) + 1] ?? 0;
  });
  return quads.map((quad, index) => ((scores[index] ?? 0) > section.threshold ? [quad[2], quad[3], quad[0], quad[1]] : quad));
}

/** What a recogniser reads in parts of a picture, in their order. */
async function readLines(images: ImageDecoder, recognizer: TaskModel, picture: Picture, quads: readonly Quad[], context: InferContext): Promise<DecodedLine[]> {
  const files = await taskFilesOf(recognizer, "text-recognition");
  const { line } = files.manifest;
  if (line === undefined) throw new StatusError("TASK_MANIFEST_INVALID", `'${recognizer.name}' reads no lines: its servable.yaml needs the section line`, { metadata: { field: "line" } });
  const output = pickTensor(recognizer, "outputs", line.output, "line.output");
  const characters = line.space ? [...(await files.characters()), " "] : await files.characters();
  return runLines(images, recognizer, line.input, lineSpecOf(line), picture, quads, [output.name], context, (outputs, row) => {
    // probabilities: [lines, steps, classes]
    const { values, shape } = numbersOf(outputs, output.name);
    const [, steps = 0, classes = 0] = shape;
    if (classes !== characters.length + 1) throw new StatusError("TASK_MANIFEST_INVALID", `servable.yaml: line.characters has ${characters.length} characters, but the model gives ${classes} classes, one of them the blank`, { metadata: { field: "line.characters" } });
    return ctcDecode(values.subarray(row * steps * classes, (row + 1) * steps * classes), classes, characters, line.blank);
  });
}

/** Cuts lines out and runs a model on them, in groups of similar width; answers in the order of the lines. */
async function runLines<T>(images: ImageDecoder, model: TaskModel, inputName: string | undefined, spec: LineSpec, picture: Picture, quads: readonly Quad[], outputs: readonly string[], context: InferContext, read: (outputs: Awaited<ReturnType<typeof runModel>>, row: number) => T): Promise<T[]> {
  if (quads.length === 0) return [];
  const input = pickTensor(model, "inputs", inputName, "line.input");
  const cuts = await images.lines(picture, quads, spec, context.signal);
  const size = batchMax(model, input, LINES_MAX);
  const byWidth = [...cuts.keys()].sort((a, b) => widthOf(cuts[a]) - widthOf(cuts[b]));
  const groups = Array.from({ length: Math.ceil(cuts.length / size) }, (_, index) => byWidth.slice(index * size, (index + 1) * size));
  const results = new Array<T>(quads.length);
  await eachOf(groups, GROUPS_AT_ONCE, async (indices) => {
    const tensor = stack(indices.map((index) => cuts[index] as CutLine));
    const answer = await runModel(model, [{ name: input.name, datatype: "FP32", ...tensor }], outputs, indices.length, context);
    indices.forEach((index, row) => (results[index] = read(answer, row)));
  });
  return results;
}

/** Lines [channels, height, width] as one tensor, as wide as the widest, zeros to the right of the others. */
function stack(lines: readonly CutLine[]): { shape: number[]; data: Uint8Array } {
  const [channels = 0, height = 0] = lines[0]?.shape ?? [];
  const width = Math.max(...lines.map(widthOf));
  const rowBytes = width * Float32Array.BYTES_PER_ELEMENT;
  const data = new Uint8Array(lines.length * channels * height * rowBytes);
  lines.forEach((line, index) => {
    const ownBytes = widthOf(line) * Float32Array.BYTES_PER_ELEMENT;
    for (let row = 0; row < channels * height; row++) data.set(line.data.subarray(row * ownBytes, (row + 1) * ownBytes), (index * channels * height + row) * rowBytes);
  });
  return { shape: [lines.length, channels, height, width], data };
}

/** Orientation models of this family see lines as recognisers do. */
const LIKE_LINES = { colors: "bgr", scale: 1 / 255, mean: [0.5], std: [0.5] } as const;

function lineSpecOf({ height, width, widthMax, colors, scale, mean, std }: Pick<LineSection, "height" | "width" | "widthMax" | "colors" | "scale" | "mean" | "std">): LineSpec {
  return { height, width, widthMax, colors, scale, mean, std, layout: "nchw", datatype: "FP32", resample: "bicubic" };
}

function widthOf(line: CutLine | undefined): number {
  return line?.shape[2] ?? 0;
}

function wholeOf({ width, height }: { width: number; height: number }): Quad {
  return [{ x: 0, y: 0 }, { x: width, y: 0 }, { x: width, y: height }, { x: 0, y: height }];
}

function mapQuad([a, b, c, d]: Quad, map: (point: Point) => Point): Quad {
  return [map(a), map(b), map(c), map(d)];
}
