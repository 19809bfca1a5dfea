import { add, exp, log, logSoftmax, mul, reduceMean, reduceSum, sub, where, equal, type Graph, type Value } from "@servable/onnx";
import { scalar, times } from "../nodes.ts";

/** How far softmax(logits) is from the targets: mean over rows of Σ t·(log t - log p). logits, targets: [batch, classes] → []. Source: Kullback & Leibler (1951), torch.nn.KLDivLoss of "batchmean". */
export function klDivergence(graph: Graph, logits: Value, targets: Value): Value {
  // 0·log 0 is 0.
  const safe = where(graph, equal(graph, targets, scalar(graph, 0)), scalar(graph, 1), targets);
  const perRow = reduceSum(graph, mul(graph, targets, sub(graph, log(graph, safe), logSoftmax(graph, logits))), [1]);
  return reduceMean(graph, perRow, [0]);
}

/**
 * Distillation: the divergence of the pupil's probabilities from the teacher's, both at a temperature, scaled by its square.
 *
 * pupil, teacher: logits [batch, classes] → []. Source: Hinton, Vinyals & Dean, Distilling the Knowledge in a Neural Network (2015), section 2.
 */
export function distillationLoss(graph: Graph, pupil: Value, teacher: Value, temperature = 2): Value {
  const logTargets = logSoftmax(graph, times(graph, teacher, 1 / temperature));
  const perRow = reduceSum(graph, mul(graph, exp(graph, logTargets), sub(graph, logTargets, logSoftmax(graph, times(graph, pupil, 1 / temperature)))), [1]);
  return times(graph, reduceMean(graph, perRow, [0]), temperature * temperature);
}

/** Divergence of N(mean, e^logVariance) from N(0, 1), summed over sizes, the mean over rows. mean, logVariance: [batch, size] → []. Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014), appendix B. */
export function gaussianDivergence(graph: Graph, mean: Value, logVariance: Value): Value {
  const terms = sub(graph, add(graph, mul(graph, mean, mean), exp(graph, logVariance)), add(graph, logVariance, scalar(graph, 1)));
  return reduceMean(graph, times(graph, reduceSum(graph, terms, [1]), 0.5), [0]);
}
