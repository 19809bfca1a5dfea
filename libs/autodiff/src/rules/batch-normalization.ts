import { floatAttribute, intAttribute, mul, neg, reduceMean, sub, type Value } from "@servable/onnx";
import { channelSum, channelSums, channelwise, inverseRoot } from "./channels.ts";
import { inputOf, meanOver, times, type RuleContext } from "./rule.ts";

/**
 * ai.onnx::BatchNormalization, both forms. x: [batch, channels, …].
 *
 * Statistics of the batch (training_mode): with M elements a channel, x̂ = (x - mean)·inv,
 * dx = scale·inv·(g - (Σg + x̂·Σ(g·x̂))/M); dscale = Σ g·x̂; dbias = Σ g. Running statistics get none: they carry no gradient.
 * Source: Ioffe & Szegedy, Batch Normalization (2015), section 3.
 *
 * Constant statistics: dx = gw·inv; dscale = Σ g·x̂; dbias = Σ g; dmean = -Σ gw·inv; dvariance = -½ Σ gw·x̂·inv².
 */
export function batchNormalization(context: RuleContext): (Value | undefined)[] {
  return intAttribute(context.node, "training_mode", 0) === 1 ? ofBatch(context) : ofConstants(context);
}

function ofBatch(context: RuleContext): (Value | undefined)[] {
  const { graph, node, upstream, needed } = context;
  const [x, scale] = [inputOf(context, 0), inputOf(context, 1)];
  const axes = x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]));
  const centred = sub(graph, x, reduceMean(graph, x, axes, true));
  const inv = inverseRoot(graph, meanOver(graph, mul(graph, centred, centred), axes), floatAttribute(node, "epsilon", 1e-5)); // [1, C, 1, …]
  const normalised = mul(graph, centred, inv);
  // dx = a·g - b·x̂ - c, numbers for each channel: three passes over the batch.
  const along = mul(graph, upstream, normalised);
  const slope = mul(graph, channelwise(graph, scale, x), inv);
  const dx = (): Value => sub(graph, sub(graph, mul(graph, upstream, slope), mul(graph, normalised, mul(graph, slope, meanOver(graph, along, axes)))), mul(graph, slope, meanOver(graph, upstream, axes)));
  return [needed[0] === true ? dx() : undefined, needed[1] === true ? channelSum(graph, along) : undefined, needed[2] === true ? channelSum(graph, upstream) : undefined];
}

function ofConstants(context: RuleContext): (Value | undefined)[] {
  const { graph, node, upstream, needed } = context;
  const [x, scale, mean, variance] = [inputOf(context, 0), inputOf(context, 1), inputOf(context, 3), inputOf(context, 4)];
  const inv = channelwise(graph, inverseRoot(graph, variance, floatAttribute(node, "epsilon", 1e-5)), x);
  const dx = mul(graph, mul(graph, upstream, channelwise(graph, scale, x)), inv);
  const normalised = (): Value => mul(graph, sub(graph, x, channelwise(graph, mean, x)), inv);
  return [
    dx,
    ...(needed[1] === true || needed[2] === true ? channelSums(context, normalised()) : [undefined, undefined]),
    needed[3] === true ? neg(graph, channelSum(graph, dx)) : undefined,
    needed[4] === true ? times(graph, channelSum(graph, mul(graph, mul(graph, dx, normalised()), inv)), -0.5) : undefined,
  ];
}
