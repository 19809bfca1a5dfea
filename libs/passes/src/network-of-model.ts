import type { Network, Scope } from "@servable/nn";
import { GraphError, type ModelProto, type Value } from "@servable/onnx";
import { attachHead, headInput, type HeadOptions } from "./head.ts";
import { planTraining, trainable, type TrainableOptions } from "./trainable.ts";

/** How a model becomes a network under training. */
export interface ModelNetworkOptions extends TrainableOptions {
  /** A fresh classifier in the place of the model's own. @default the model keeps its head */
  readonly head?: HeadOptions;
  /** The scalar that is descended, of the network's outputs by name; targets are further inputs of the scope. Not asked for in mode `infer`. */
  readonly loss: (nn: Scope, outputs: Readonly<Record<string, Value>>) => Value;
}

/**
 * A network of any imported ONNX model, for a trainer: parameters are the chosen weights under their own names, adapters
 * ("<weight>.lora_A", "<weight>.lora_B") and the new head ("head.weight", "head.bias").
 *
 * Inputs of the model keep their names; add inputs for targets in `loss`. Without a new head the outputs are the model's.
 *
 * @throws GraphError for patterns that fit no weight, for operators that are not known, and when nothing is left to train
 * @example
 * const network = networkOfModel(readModel(bytes), { train: ["classifier.*"], loss: (nn, { logits }) => crossEntropy(nn.graph, logits, nn.input("labels", "INT64", ["batch"])) });
 */
export function networkOfModel(model: ModelProto, options: ModelNetworkOptions): Network {
  const plan = planTraining(model, options);
  const { head, loss } = options;
  const first = model.graph?.output[0]?.name ?? "";
  const at = head === undefined ? undefined : (head.at ?? headInput(model, first));
  if (head === undefined && plan.trained.size === 0 && plan.adapted.size === 0) throw new GraphError("nothing of the model is trained: every weight is frozen, and there are neither adapters nor a new head");
  return (nn) => {
    const { values, outputs } = trainable(nn, plan);
    const named = head === undefined || at === undefined ? Object.fromEntries(outputs) : { [head.output ?? "logits"]: attachHead(nn, featuresAt(values, at), head) };
    return nn.mode === "infer" ? { outputs: named } : { loss: loss(nn, named), outputs: named };
  };
}

function featuresAt(values: ReadonlyMap<string, Value>, at: string): Value {
  const value = values.get(at);
  if (value === undefined) throw new GraphError(`the model has no value "${at}" for a head to read`);
  return value;
}
