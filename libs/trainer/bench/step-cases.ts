// The networks whose steps are timed, with batches that a Python peer can read too.

import { bertClassifier, classifier, crossEntropy, gpt, languageModel, lenet, mlp, randomStream, smallCnn, type Network } from "@servable/nn";
import type { Value } from "@servable/onnx";
import type { Feeds } from "@servable/trainer";

/** A network with batches to train it on. */
export interface StepCase {
  readonly title: string;
  /** Name of the same model in torch_peer.py. */
  readonly peer: string;
  readonly network: Network;
  readonly batches: readonly Feeds[];
  /** Targets for the ratio to PyTorch's default Adam, and to its fused one. */
  readonly target: number;
  readonly fusedTarget: number;
  /** About so many steps fit a round. */
  readonly steps: number;
}

const BATCHES = 8;
const FUSED_TARGET = 1.05;

/** Pictures of noise with random classes. */
function pictures(rows: number, shape: readonly number[], classes: number): Feeds[] {
  return Array.from({ length: BATCHES }, (_, batch) => {
    const random = randomStream(1, `batch ${batch}`);
    const size = shape.reduce((product, each) => product * each, 1);
    return {
      x: { data: Float32Array.from({ length: rows * size }, () => random.uniform()), shape: [rows, ...shape] },
      labels: { data: BigInt64Array.from({ length: rows }, () => BigInt(Math.floor(random.uniform() * classes))), shape: [rows] },
    };
  });
}

/** Tokens as rare as in text: the k-th word about 1/k as often as the first (Zipf). */
export function tokens(rows: number, length: number, vocabulary: number, labels: "next" | number): Feeds[] {
  return Array.from({ length: BATCHES }, (_, batch) => {
    const random = randomStream(1, `batch ${batch}`);
    const draw = (): bigint => BigInt(Math.min(vocabulary - 1, Math.floor(Math.exp(random.uniform() * Math.log(vocabulary))) - 1));
    const ids = BigInt64Array.from({ length: rows * length }, draw);
    const targets = labels === "next" ? BigInt64Array.from(ids, (_, index) => ids[index + 1] ?? 0n) : BigInt64Array.from({ length: rows }, () => BigInt(Math.floor(random.uniform() * labels)));
    return { input_ids: { data: ids, shape: [rows, length] }, labels: { data: targets, shape: labels === "next" ? [rows, length] : [rows] } };
  });
}

const perceptron = classifier({ shape: [784] }, (nn, x) => mlp(nn, x, { hidden: [128], outputs: 10 }));
const bertMini = classifierOverIds(77);

/** All cases. */
export const STEP_CASES: readonly StepCase[] = [
  { title: "MLP 784-128-10, batch 32", peer: "mlp", network: perceptron, batches: pictures(32, [784], 10), target: 0.6, fusedTarget: FUSED_TARGET, steps: 400 },
  { title: "MLP 784-128-10, batch 256", peer: "mlp", network: perceptron, batches: pictures(256, [784], 10), target: 0.9, fusedTarget: FUSED_TARGET, steps: 150 },
  { title: "LeNet, batch 64", peer: "lenet", network: classifier({ shape: [1, 28, 28] }, (nn, x) => lenet(nn, x, 10)), batches: pictures(64, [1, 28, 28], 10), target: 0.85, fusedTarget: FUSED_TARGET, steps: 40 },
  { title: "CNN 32-64 3×3, batch 64", peer: "cnn", network: classifier({ shape: [1, 28, 28] }, (nn, x) => smallCnn(nn, x, 10)), batches: pictures(64, [1, 28, 28], 10), target: 0.85, fusedTarget: FUSED_TARGET, steps: 10 },
  { title: "GPT 4 layers d128 T64, batch 16", peer: "gpt", network: languageModel((nn, ids) => gpt(nn, ids, { vocabulary: 256, layers: 4, width: 128, heads: 4, positions: 64, tied: false })), batches: tokens(16, 64, 256, "next"), target: 1, fusedTarget: FUSED_TARGET, steps: 5 },
  { title: "BERT-mini 4 layers d256 T64 V30522, batch 16", peer: "bert", network: bertMini, batches: tokens(16, 64, 30_522, 77), target: 1, fusedTarget: FUSED_TARGET, steps: 4 },
];

function classifierOverIds(classes: number): Network {
  return (nn) => {
    const ids = nn.input("input_ids", "INT64", ["batch", "sequence"]);
    const build = (): Value => bertClassifier(nn, { ids }, { vocabulary: 30_522, layers: 4, width: 256, heads: 4, positions: 64, classes });
    if (nn.mode === "infer") return { outputs: { logits: build() } };
    const labels = nn.input("labels", "INT64", ["batch"]);
    const logits = build();
    return { loss: crossEntropy(nn.graph, logits, labels), outputs: { logits } };
  };
}
