import { describe, it } from "node:test";
import { gradients } from "@servable/autodiff";
import type { Graph, Value } from "@servable/onnx";
import { binaryCrossEntropy, crossEntropy, distillationLoss, focalLoss, gaussianDivergence, hingeLoss, huberLoss, infoNce, klDivergence, meanAbsoluteError, meanSquaredError, ntXent, pairLoss, softmaxCrossEntropy, softmaxFocalLoss, tripletLoss } from "../src/index.ts";
import { assertClose, readGoldens, runGolden, type GoldenCase } from "./support/golden.ts";

const goldens = readGoldens<Record<string, GoldenCase>>("goldens.json");
const weights = [0.5, 2, 1, 1.5];

/** Each loss of a golden case's inputs, in their order. */
const LOSSES: Readonly<Record<string, (graph: Graph, ...inputs: [Value, Value, Value]) => Value>> = {
  crossEntropy: (graph, z, labels) => crossEntropy(graph, z, labels),
  "crossEntropy with weights": (graph, z, labels) => crossEntropy(graph, z, labels, { classWeights: weights }),
  "crossEntropy with ignored rows": (graph, z, labels) => crossEntropy(graph, z, labels),
  "crossEntropy smoothed": (graph, z, labels) => crossEntropy(graph, z, labels, { labelSmoothing: 0.1 }),
  "crossEntropy smoothed, with weights and ignored rows": (graph, z, labels) => crossEntropy(graph, z, labels, { labelSmoothing: 0.2, classWeights: weights }),
  "crossEntropy over sequences": (graph, z, labels) => crossEntropy(graph, z, labels),
  softmaxCrossEntropy,
  binaryCrossEntropy: (graph, z, t) => binaryCrossEntropy(graph, z, t),
  "binaryCrossEntropy with a weight": (graph, z, t) => binaryCrossEntropy(graph, z, t, { positiveWeight: 3 }),
  focalLoss: (graph, z, t) => focalLoss(graph, z, t),
  "focalLoss of another exponent": (graph, z, t) => focalLoss(graph, z, t, { alpha: 0.6, gamma: 1.5 }),
  softmaxFocalLoss: (graph, z, labels) => softmaxFocalLoss(graph, z, labels),
  "softmaxFocalLoss with weights": (graph, z, labels) => softmaxFocalLoss(graph, z, labels, { gamma: 1.5, classWeights: weights }),
  hingeLoss,
  meanSquaredError,
  meanAbsoluteError,
  huberLoss: (graph, x, t) => huberLoss(graph, x, t, 0.7),
  klDivergence,
  distillationLoss: (graph, pupil, teacher) => distillationLoss(graph, pupil, teacher, 3),
  gaussianDivergence,
  infoNce: (graph, a, b) => infoNce(graph, a, b),
  ntXent: (graph, a, b) => ntXent(graph, a, b),
  pairLoss: (graph, a, b, together) => pairLoss(graph, a, b, together, 2),
  tripletLoss: (graph, a, b, c) => tripletLoss(graph, a, b, c),
};

describe("losses", () => {
  for (const [name, loss] of Object.entries(LOSSES)) {
    it(`${name} gives PyTorch's value and gradient`, async () => {
      const golden = goldens[name] as GoldenCase;

      const got = await runGolden(golden, ({ graph }, inputs) => {
        const values = Object.values(inputs) as [Value, Value, Value];
        const value = loss(graph, ...values);
        return { loss: value, gradient: gradients(graph, value, [values[0]])[0] as Value };
      });

      assertClose(got["loss"], golden.outputs["loss"], { atol: 2e-6, rtol: 1e-5 }, "loss"); // f32, few terms
      assertClose(got["gradient"], golden.outputs["gradient"], { atol: 2e-6, rtol: 2e-5 }, "gradient");
    });
  }

  it("binary cross-entropy stays finite where a probability is almost 0", async () => {
    const golden: GoldenCase = { inputs: { z: { shape: [2], values: [100, -200] }, t: { shape: [2], values: [0, 1] } }, weights: {}, outputs: {} };

    const got = await runGolden(golden, ({ graph }, { z, t }) => ({ loss: binaryCrossEntropy(graph, z as Value, t as Value) }));

    assertClose(got["loss"], { shape: [], values: [150] }, { atol: 1e-4, rtol: 0 }, "loss");
  });
});
