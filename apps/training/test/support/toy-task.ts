import { mlp, randomStream, softmaxCrossEntropy, type Network } from "@servable/nn";
import type { LearningTask } from "../../src/worker/learning-task.ts";

const WIDTH = 4;
const CLASSES = ["a", "b", "c"];

/** Three clouds of points in a seeded order; a network with dropout, so that a step depends on its number. */
export function toyTask({ rowCount = 96, change = {} }: { rowCount?: number; change?: Partial<LearningTask> } = {}): LearningTask {
  const random = randomStream(1, "toy");
  const targets = Int32Array.from({ length: rowCount }, (_, row) => row % CLASSES.length);
  const x = Float32Array.from({ length: rowCount * WIDTH }, (_, at) => (at % WIDTH === targets[Math.floor(at / WIDTH)] ? 1 : 0) + random.normal());
  const rows = Uint32Array.from({ length: rowCount }, (_, row) => row);
  const cut = Math.floor(rowCount * 0.75);
  const network: Network = (nn) => {
    const features = nn.input("x", "FP32", ["batch", WIDTH]);
    const labels = nn.input("labels", "FP32", ["batch", CLASSES.length]);
    const logits = mlp(nn, features, { hidden: [8], outputs: CLASSES.length, dropout: 0.2 });
    return { loss: softmaxCrossEntropy(nn.graph, logits, labels), outputs: { logits } };
  };
  const feeds: LearningTask["feeds"] = (some) => ({
    x: { data: Float32Array.from([...some].flatMap((row) => [...x.subarray(row * WIDTH, (row + 1) * WIDTH)])), shape: [some.length, WIDTH] },
    labels: { data: Float32Array.from([...some].flatMap((row) => CLASSES.map((_, index) => (index === targets[row] ? 1 : 0)))), shape: [some.length, CLASSES.length] },
  });
  return {
    trainingRows: rows.slice(0, cut),
    validationRows: rows.slice(cut),
    testRows: new Uint32Array(),
    network,
    warnings: [],
    feeds,
    judge: async (some, evaluate) => {
      const { loss, outputs } = await evaluate(feeds(some));
      const bytes = outputs["logits"]?.data as Uint8Array;
      const scores = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      return { ...emptyReport(), rowCount: some.length, loss, metrics: { loss: { value: loss }, mean_score: { value: scores.reduce((a, b) => a + b, 0) } } };
    },
    pack: async (weights) => new Map([["model.onnx", new TextEncoder().encode([...weights].map(([name, values]) => `${name} ${values.join()}`).join("\n"))]]),
    ...change,
  };
}

function emptyReport() {
  return { kind: "classification" as const, rowCount: 0, loss: 0, metrics: {}, classes: CLASSES, classMetrics: [], confusionMatrix: [], calibration: [], curves: [], slices: [] };
}

