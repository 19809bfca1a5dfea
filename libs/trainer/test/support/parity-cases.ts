import { bertClassifier, classifier, crossEntropy, gpt, languageModel, lenet, mlp, resnet, resnet20, smallCnn, type Network } from "@servable/nn";
import type { Feeds } from "../../src/index.ts";

/** A network with its batches, known to both sides: goldens/parity.py has the same. */
export interface ParityCase {
  readonly network: Network;
  readonly feeds: (step: number) => Feeds;
}

const WINDOW = 1_000_003;
const MODULUS = 2_147_483_647;

const drawn = (step: number, index: number): number => (((index * 7919 + step * 104_729) % WINDOW) * 48_271) % MODULUS;
const countOf = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
const numbers = (step: number, ...shape: number[]) => ({ data: Float32Array.from({ length: countOf(shape) }, (_, index) => (drawn(step, index) / MODULUS) * 2 - 1), shape });
const wholes = (step: number, below: number, ...shape: number[]) => ({ data: BigInt64Array.from({ length: countOf(shape) }, (_, index) => BigInt(drawn(step, index) % below)), shape });

/** Each class is a pattern under noise: there is something to learn. */
const vision = (body: Parameters<typeof classifier>[1], batch: number, ...shape: number[]): ParityCase => {
  const patterns = Array.from({ length: 10 }, (_, label) => numbers(1000 + label, ...shape).data);
  const size = countOf(shape);
  return {
    network: classifier({ shape }, body),
    feeds: (step) => {
      const [noise, labels] = [numbers(step, batch, ...shape), wholes(step, 10, batch)];
      const data = noise.data.map((value, at) => Math.fround(value * 0.5) + (patterns[Number(labels.data[Math.floor(at / size)])]?.[at % size] ?? 0));
      return { x: { data, shape: noise.shape }, labels };
    },
  };
};

/** Each row counts on from a start by 1, 2 or 3: there is something to learn. */
const language = (batch: number, length: number, vocabulary: number, layers: number, width: number, heads: number): ParityCase => ({
  network: languageModel((nn, ids) => gpt(nn, ids, { vocabulary, layers, width, heads, positions: length })),
  feeds: (step) => {
    const window = (from: number) => ({ data: BigInt64Array.from({ length: batch * length }, (_, at) => BigInt(((drawn(step, Math.floor(at / length)) % vocabulary) + ((at % length) + from) * (1 + (drawn(step + 1, Math.floor(at / length)) % 3))) % vocabulary)), shape: [batch, length] });
    return { input_ids: window(0), labels: window(1) };
  },
});

/** Each text is one token shorter than the one before; its second token tells the class. */
const texts = (batch: number, length: number, vocabulary: number, layers: number, width: number, heads: number, classes: number): ParityCase => {
  const mask = { data: BigInt64Array.from({ length: batch * length }, (_, at) => (at % length < length - (Math.floor(at / length) % Math.floor(length / 2)) ? 1n : 0n)), shape: [batch, length] };
  return {
    network: (nn) => {
      const input = (name: string) => nn.input(name, "INT64", ["batch", "sequence"]);
      const logits = bertClassifier(nn, { ids: input("input_ids"), mask: input("attention_mask") }, { vocabulary, layers, width, heads, positions: length, classes });
      return { loss: crossEntropy(nn.graph, logits, nn.input("labels", "INT64", ["batch"])), outputs: { logits } };
    },
    feeds: (step) => {
      const [ids, labels] = [wholes(step, vocabulary, batch, length), wholes(step + 1, classes, batch)];
      labels.data.forEach((label, row) => (ids.data[row * length + 1] = label + 1n));
      return { input_ids: ids, attention_mask: mask, labels };
    },
  };
};

/** Small enough for a test. */
export const TINY: Readonly<Record<string, ParityCase>> = {
  mlp: vision((nn, x) => mlp(nn, x, { hidden: [8], outputs: 10 }), 8, 16),
  lenet: vision((nn, x) => lenet(nn, x, 10), 4, 1, 28, 28),
  "small cnn": vision((nn, x) => smallCnn(nn, x, 10), 4, 1, 12, 12),
  resnet: vision((nn, x) => resnet(nn, x, { blocks: [1, 1], channels: [8, 12], classes: 10, stem: "small", shortcut: "pad", head: "linear" }), 4, 3, 16, 16),
  gpt: language(2, 8, 50, 2, 16, 2),
  bert: texts(4, 8, 50, 2, 16, 2, 5),
};

/** As large as they are used. */
export const FULL: Readonly<Record<string, ParityCase>> = {
  mlp: vision((nn, x) => mlp(nn, x, { hidden: [128], outputs: 10 }), 32, 784),
  lenet: vision((nn, x) => lenet(nn, x, 10), 64, 1, 28, 28),
  "small cnn": vision((nn, x) => smallCnn(nn, x, 10), 64, 1, 28, 28),
  resnet: vision((nn, x) => resnet20(nn, x), 32, 3, 32, 32),
  gpt: language(16, 64, 256, 4, 128, 4),
  bert: texts(16, 64, 30_522, 4, 256, 4, 77),
};
