export { adaptersOf, applyLora, mergeLora, type LoraAdapters } from "./adapters.ts";
export { TRAINABLE_LIMITS, checkTrainable, type TrainableLimits } from "./check-trainable.ts";
export { attachHead, headInput, type HeadOptions } from "./head.ts";
export { loraA, loraB, type LoraOptions } from "./lora.ts";
export { networkOfModel, type ModelNetworkOptions } from "./network-of-model.ts";
export { selectWeights, type WeightSelection } from "./select-weights.ts";
export { planTraining, trainable, type TrainableOptions, type TrainingPlan } from "./trainable.ts";
export { STEPS_MAX, unrolled } from "./unroll-recurrent.ts";
export { weightsOfModel, type ModelWeight, type WeightUse } from "./weight-roles.ts";
