import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TrainingSpec_Family } from "@servable/contracts/training/v1/training_job";
import { withSpan } from "@servable/telemetry";
import { elementsOf, isDatatype, tensorOf, type Tensor } from "@servable/tensor";
import { lastPart } from "../common-options.ts";
import { ensureDataset } from "../dataset-files.ts";
import { followJob } from "../follow-job.ts";
import { renderEvaluation } from "../render/evaluation.ts";
import { printLine } from "../terminal.ts";
import { readPenguins, toCsv, type Penguin } from "./real-data.ts";
import { expect, heading, predictOverRest, type CallPlace, type Tour } from "./tour.ts";

const MODEL = "penguins";

/** Trains on penguins, deploys, and asks for one of each species over gRPC and REST, all in one trace; returns the REST call's place in it. */
export function penguins(tour: Tour): Promise<CallPlace> {
  return withSpan("penguins: train, register, deploy, call", {}, () => trainAndCall(tour));
}

async function trainAndCall(tour: Tour): Promise<CallPlace> {
  const { client, terminal, signal } = tour;
  const rows = readPenguins();
  heading(tour, `1. Train a classifier: ${rows.length} penguins, 3 species, numbers and categories with gaps`);
  const data = join(tour.folder, "penguins.csv");
  writeFileSync(data, toCsv(rows));
  const dataset = await ensureDataset(client, MODEL, { data, missing: ["."] });
  const job = await client.training.create({
    dataset: dataset.name,
    model: MODEL,
    spec: { targetColumn: "species", family: TrainingSpec_Family.SOFTMAX_REGRESSION, epochCount: 100, batchSize: 16, learningRate: 0.01, seed: 1n },
    signal,
  });
  const { evaluation, modelVersion } = await followJob(client, job.name, terminal.stdout, signal);
  if (evaluation !== undefined) printLine(terminal, renderEvaluation(evaluation));
  expect(evaluation !== undefined && evaluation.accuracy > evaluation.baselineAccuracy + 0.2, "the penguin model is far better than always answering the most frequent species");
  printLine(terminal, `Registered as ${MODEL} version ${lastPart(modelVersion)}.`);

  heading(tour, "2. Deploy it and call it: gRPC (Open Inference Protocol) and REST");
  await client.deployments.deploy({ model: MODEL, signal });
  const examples = ["Adelie", "Chinstrap", "Gentoo"].flatMap((species) => rows.filter((row) => row.species === species && row.sex !== null).slice(0, 1));
  const overGrpc = await askOverGrpc(tour, examples);
  const instances = examples.map(({ species: _species, ...features }) => features);
  const { answer, place } = await predictOverRest(tour, MODEL, { instances });
  const overRest = (answer["predictions"] as unknown[]).map((prediction) => labelIn(prediction));
  examples.forEach((row, index) => printLine(terminal, `  ${JSON.stringify(instances[index])}\n    truth ${row.species} · gRPC ${overGrpc[index]} · REST ${overRest[index]}`));
  expect(examples.every((row, index) => row.species === overGrpc[index] && row.species === overRest[index]), "gRPC and REST name the right species of all three penguins");
  return place;
}

/** The columns become tensors by the model's own metadata. */
async function askOverGrpc({ client, signal }: Tour, rows: readonly Penguin[]): Promise<string[]> {
  const { inputs } = await client.inference.metadata(MODEL, { signal });
  const tensors = inputs.map(({ name, datatype, shape }): [string, Tensor] => {
    expect(isDatatype(datatype) && name in (rows[0] ?? {}), `the model's input ${name} is a column of the data`);
    const sizes = shape.map((size) => (size === -1n ? rows.length : Number(size)));
    return [name, tensorOf(datatype as Tensor["datatype"], sizes, rows.map((row) => row[name as keyof Penguin]), name)];
  });
  const { outputs } = await client.inference.infer({ model: MODEL, inputs: Object.fromEntries(tensors), signal });
  const label = Object.values(outputs).find(({ datatype }) => datatype === "BYTES");
  expect(label !== undefined, "the model says a label");
  return label === undefined ? [] : elementsOf(label).map((text) => new TextDecoder().decode(text as Uint8Array));
}

/** The label in an answer, whatever stands beside it. */
function labelIn(prediction: unknown): string | undefined {
  if (typeof prediction === "string") return prediction;
  if (typeof prediction !== "object" || prediction === null) return undefined;
  return Object.values(prediction).map(labelIn).find((label) => label !== undefined);
}
