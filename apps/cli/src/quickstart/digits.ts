import { TrainingSpec_Family, TrainingSpec_Optimizer } from "@servable/contracts/training/v1/training_job";
import { ensureDataset } from "../dataset-files.ts";
import { followJob } from "../follow-job.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { printLine } from "../terminal.ts";
import { readTestDigits, trainingDigits, type Digits } from "./real-data.ts";
import { expect, heading, predictOverRest, type Tour } from "./tour.ts";

const MODEL = "is-seven";
const DIGIT = 7;
const SIDE = 28;
const CALLS = 6;

/** Trains "is it a seven?" on handwritten digits and asks about digits that it has never seen. */
export async function digits(tour: Tour): Promise<void> {
  const { client, terminal, signal } = tour;
  heading(tour, `4. Train a network on pictures: is it a ${DIGIT}? (28×28×1 → 128 relu → 1 sigmoid, Adam, 10 epochs, batches of 32)`);
  const dataset = await ensureDataset(client, MODEL, trainingDigits());
  printLine(terminal, `${dataset.rowCount} handwritten digits of ${dataset.imageShape.join("×")} (MNIST)`);
  const job = await client.training.create({
    dataset: dataset.name,
    model: MODEL,
    spec: { positiveClass: String(DIGIT), family: TrainingSpec_Family.MLP, hiddenUnits: [128], optimizer: TrainingSpec_Optimizer.ADAM, epochCount: 10, batchSize: 32, seed: 1n },
    signal,
  });
  const { evaluation } = await followJob(client, job.name, terminal.stdout, signal);
  if (evaluation !== undefined) printLine(terminal, renderEvaluation(evaluation));
  expect(evaluation !== undefined && evaluation.accuracy > Math.max(0.97, evaluation.baselineAccuracy), "the digit model is right on more than 97 % of unseen digits");

  await client.deployments.deploy({ model: MODEL, signal });
  printLine(terminal, `\nPOST /v1/models/${MODEL}:predict {"input_data": 28×28×1 pixels}, pictures of the test set:`);
  const unseen = readTestDigits();
  let right = 0;
  for (const index of someOfBoth(unseen)) {
    const { answer } = await predictOverRest(tour, MODEL, { input_data: nestedPixels(unseen.image(index)) });
    const probability = probabilityIn(answer["prediction"]);
    expect(probability !== undefined && probability >= 0 && probability <= 1, `the answer holds a probability; it was ${JSON.stringify(answer)}`);
    const isSeven = (probability ?? 0) > 0.5;
    const truth = unseen.label(index);
    if (isSeven === (truth === DIGIT)) right += 1;
    printLine(terminal, `  a ${truth} → ${JSON.stringify(answer)}  ${isSeven ? `a ${DIGIT}` : `no ${DIGIT}`}${isSeven === (truth === DIGIT) ? "" : "  (wrong)"}`);
  }
  expect(right >= CALLS - 1, "at most one of the six answers is wrong");
}

/** The first sevens and the first others, in turn. */
function someOfBoth(unseen: Digits): number[] {
  const indexes = Array.from({ length: 200 }, (_, index) => index);
  const sevens = indexes.filter((index) => unseen.label(index) === DIGIT).slice(0, CALLS / 2);
  const others = indexes.filter((index) => unseen.label(index) !== DIGIT).slice(0, CALLS / 2);
  return sevens.flatMap((seven, index) => [seven, others[index] ?? seven]);
}

/** [28][28][1], as the network takes it. */
function nestedPixels(image: Uint8Array): number[][][] {
  return Array.from({ length: SIDE }, (_, y) => Array.from(image.subarray(y * SIDE, (y + 1) * SIDE), (value) => [value]));
}

/** The probability in an answer: a bare number, the last of a list, or the one beside a label. */
function probabilityIn(prediction: unknown): number | undefined {
  if (typeof prediction === "number") return prediction;
  if (Array.isArray(prediction)) return probabilityIn(prediction.at(-1));
  if (typeof prediction !== "object" || prediction === null) return undefined;
  const entry = Object.entries(prediction).find(([name]) => /prob|score|output/i.test(name)) ?? Object.entries(prediction)[0];
  return probabilityIn(entry?.[1]);
}
