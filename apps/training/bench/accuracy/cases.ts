import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { bertClassifier, binaryClassifier, classifier, crossEntropy, gpt, languageModel, lenet, mlp, resnet20, type Network } from "@servable/nn";
import { fitTable, tableEncoder } from "@servable/preprocessing";
import { sharedAsset } from "@servable/testing";
import { createTokenizer } from "@servable/tokenizers";
import { readSafetensors } from "@servable/weights";
import sharp from "sharp";
import { openDataset } from "../../src/domain/dataset-reader/open-dataset.ts";
import type { ColumnKind } from "../../src/domain/records.ts";
import type { AccuracyCase, RowArray } from "./accuracy-case.ts";

const asset = (path: string): string => sharedAsset(`assets/${path}`) ?? "";
const labels = (values: ArrayLike<number>): RowArray => ({ data: BigInt64Array.from(Array.from(values), BigInt), shape: [] });

/** The cases by name; each reads its data when it is asked for. */
export const CASES: Readonly<Record<string, () => Promise<AccuracyCase>>> = {
  "Fashion-MNIST, LeNet": fashion,
  "adult income, logistic": () => adult([]),
  "adult income, MLP": () => adult([64]),
  "Banking77, BERT-mini": banking,
  "tiny-shakespeare, GPT": shakespeare,
  "CIFAR-10, ResNet-20": cifar,
};

async function fashion(): Promise<AccuracyCase> {
  const read = (name: string, header: number): Buffer => gunzipSync(readFileSync(asset(`datasets/fashion-mnist/${name}-ubyte.gz`))).subarray(header);
  const part = (name: string) => ({ x: { data: Float32Array.from(read(`${name}-images-idx3`, 16), (pixel) => (pixel / 255 - 0.286) / 0.353), shape: [1, 28, 28] }, labels: labels(read(`${name}-labels-idx1`, 8)) });
  return { model: { kind: "lenet" }, network: classifier({ shape: [1, 28, 28] }, (nn, x) => lenet(nn, x, 10)), training: part("train"), test: part("t10k"), batchSize: 64, steps: 2_811, learningRate: 1e-3, portion: 1_000, metric: "accuracy" };
}

const ADULT = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"];
const NUMBERS = new Set(["age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"]);

async function adult(hidden: readonly number[]): Promise<AccuracyCase> {
  const open = async (name: string) => {
    const path = join(tmpdir(), `servable-${name}.csv`);
    writeFileSync(path, readFileSync(asset(`datasets/tabular/${name}.csv`), "utf8").replaceAll(/, /g, ",").replaceAll(/(<=50K|>50K)\./g, "$1").trim());
    const kindOf = (column: string): ColumnKind => (NUMBERS.has(column) ? "numeric" : "categorical");
    const columns = ADULT.map((column) => ({ name: column, kind: kindOf(column) }));
    const table = await openDataset({ format: "csv", files: [{ role: "data", path }], columns, missingValues: ["?"], header: ADULT });
    if (table.kind !== "table") throw new TypeError("a CSV is a table");
    return table;
  };
  const [train, test] = [await open("adult-train"), await open("adult-test")];
  const all = Uint32Array.from({ length: train.rowCount }, (_, row) => row);
  const fitted = fitTable(train.columns.filter(({ name }) => name !== "income"), all);
  const part = (table: typeof train) => {
    const encode = tableEncoder(fitted, table.columns);
    const data = new Float32Array(table.rowCount * fitted.width);
    for (let row = 0; row < table.rowCount; row++) encode(row, data, row * fitted.width);
    const income = table.column("income");
    if (income.kind !== "categorical") throw new TypeError("income is categorical");
    return { x: { data, shape: [fitted.width] }, targets: { data: Float32Array.from(income.codes, (code) => (income.categories[code] === ">50K" ? 1 : 0)), shape: [] } };
  };
  const network = binaryClassifier({ shape: [fitted.width] }, (nn, x) => mlp(nn, x, { hidden, outputs: 1 }));
  return { model: { kind: "mlp", inputs: fitted.width, hidden, outputs: 1 }, network, training: part(train), test: part(test), batchSize: 128, steps: 2_550, learningRate: 1e-3, portion: 2_000, metric: "accuracy" };
}

async function banking(): Promise<AccuracyCase> {
  const tokenizer = createTokenizer(readFileSync(asset("bert-mini-intents/tokenizer.json"), "utf8"));
  const WIDTH = 64;
  const open = async (name: string) => {
    const table = await openDataset({ format: "csv", files: [{ role: "data", path: asset(`datasets/text/banking77-${name}.csv`) }], columns: [{ name: "text", kind: "text" }, { name: "category", kind: "categorical" }], missingValues: [] });
    if (table.kind !== "table") throw new TypeError("a CSV is a table");
    return table;
  };
  const [train, test] = [await open("train"), await open("test")];
  const categories = train.column("category");
  if (categories.kind !== "categorical") throw new TypeError("categories");
  const part = (table: typeof train) => {
    const [text, category] = [table.column("text"), table.column("category")];
    if (text.kind !== "text" || category.kind !== "categorical") throw new TypeError("columns");
    const { inputIds, attentionMask } = tokenizer.encode(Array.from({ length: table.rowCount }, (_, row) => text.text(row) ?? ""), { tokensMax: WIDTH, padding: WIDTH });
    return { input_ids: { data: inputIds, shape: [WIDTH] }, attention_mask: { data: attentionMask, shape: [WIDTH] }, labels: labels(Array.from(category.codes, (code) => categories.categories.indexOf(category.categories[code] ?? ""))) };
  };
  const shape = { vocabulary: 4096, layers: 4, width: 128, heads: 4, positions: 128, classes: 77, pooling: "mean" } as const;
  const network: Network = (nn) => {
    const input = (name: string) => nn.input(name, "INT64", ["batch", WIDTH]);
    const logits = bertClassifier(nn, { ids: input("input_ids"), mask: input("attention_mask") }, shape);
    return { loss: crossEntropy(nn.graph, logits, nn.input("labels", "INT64", ["batch"])), outputs: { logits } };
  };
  const base = readSafetensors(readFileSync(asset("bert-mini-intents/model.safetensors")));
  const initial = new Map([...base.tensors].map(([name, { data }]) => [`bert.${name}`, new Float32Array(Uint8Array.from(data).buffer)] as const));
  return { model: { kind: "bert", ...shape }, network, initial, training: part(train), test: part(test), batchSize: 64, steps: 313, learningRate: 5e-4, portion: 154, metric: "accuracy" };
}

async function shakespeare(): Promise<AccuracyCase> {
  const bytes = readFileSync(asset("datasets/text/tinyshakespeare.txt"));
  const [LENGTH, TRAINED] = [64, Math.floor(bytes.length * 0.9)];
  const part = (text: Buffer, rowsMax: number) => {
    const rows = Math.min(rowsMax, Math.floor((text.length - 1) / LENGTH));
    const window = (offset: number) => ({ data: BigInt64Array.from({ length: rows * LENGTH }, (_, at) => BigInt(text[at + offset] ?? 0)), shape: [LENGTH] });
    return { input_ids: window(0), labels: window(1) };
  };
  const shape = { vocabulary: 256, layers: 4, width: 128, heads: 4, positions: LENGTH } as const;
  return { model: { kind: "gpt", ...shape }, network: languageModel((nn, ids) => gpt(nn, ids, shape)), training: part(bytes.subarray(0, TRAINED), Infinity), test: part(bytes.subarray(TRAINED), 512), batchSize: 16, steps: 600, learningRate: 1e-3, portion: 64, metric: "loss" };
}

async function cifar(): Promise<AccuracyCase> {
  const folder = join(tmpdir(), "servable-cifar10");
  if (!existsSync(folder)) {
    mkdirSync(folder);
    execFileSync("tar", ["xJf", asset("datasets/cifar10-jpg/cifar10-jpg.tar.xz"), "-C", folder]);
  }
  const steps = Number(process.env["ACCURACY_CIFAR_STEPS"] ?? 1_173);
  return { model: { kind: "resnet20" }, network: classifier({ shape: [3, 32, 32] }, (nn, x) => resnet20(nn, x)), training: await pictures(join(folder, "train")), test: await pictures(join(folder, "test"), Number(process.env["ACCURACY_CIFAR_TEST"] ?? 1_000)), batchSize: 128, steps, learningRate: 2e-3, decays: true, portion: 250, metric: "accuracy", scale: { input: "x", mean: [125.3, 123, 113.9], deviation: [63, 62.1, 66.7] } };
}

/** Pictures in class folders, channels first as bytes. */
async function pictures(folder: string, perClassMax = Infinity): Promise<Record<string, RowArray>> {
  const files = readdirSync(folder).sort().flatMap((name, label) => readdirSync(join(folder, name)).sort().slice(0, perClassMax).map((file) => ({ path: join(folder, name, file), label })));
  const data = new Uint8Array(files.length * 3072);
  for (const [row, { path }] of files.entries()) {
    const pixels = await sharp(path).raw().toBuffer();
    for (let at = 0; at < 1024; at++) for (let channel = 0; channel < 3; channel++) data[row * 3072 + channel * 1024 + at] = pixels[at * 3 + channel] ?? 0;
  }
  return { x: { data, shape: [3, 32, 32] }, labels: labels(files.map(({ label }) => label)) };
}
