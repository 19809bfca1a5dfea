import type { ModelConfig, ModelQueuePolicy } from "@servable/contracts/open-inference/model_config";
import { ModelInstanceGroup_Kind, ModelQueuePolicy_TimeoutAction } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { DynamicBatcherOptions, QueuePolicy } from "@servable/scheduling";
import type { Signature } from "./signature.ts";

/** Batches of models that batch by themselves: large enough to hide what a run costs apart from its elements. */
const AUTOMATIC_BATCH_SIZE = 32;
/** Requests that may wait for one model, when its configuration does not say. */
export const QUEUE_SIZE_MAX = 4_096;

/**
 * How the requests of a version are batched: as `max_batch_size` and `dynamic_batching` say. A model without
 * `max_batch_size` batches by itself when all of its inputs and outputs have the same variable first dimension and the graph
 * calls it a batch: then requests of several callers share a run, and nothing else about the model changes.
 *
 * @throws StatusError `FIELD_INVALID`
 */
export function batchingOptionsOf(signature: Signature, config: ModelConfig): DynamicBatcherOptions {
  const dynamic = config.schedulingChoice.case === "dynamicBatching" ? config.schedulingChoice.value : undefined;
  const policies = new Map(Object.entries(dynamic?.priorityQueuePolicy ?? {}).map(([level, policy]) => [Number(level), policyOf(policy)]));
  const maxBatchSize = config.maxBatchSize > 0 ? config.maxBatchSize : isBatchNamed(signature) && dynamic === undefined ? AUTOMATIC_BATCH_SIZE : 1;
  const goalMs = numberSetting(config, "servable.latency_goal_ms");
  return {
    maxBatchSize,
    preferredBatchSizes: dynamic?.preferredBatchSize ?? [],
    maxQueueDelayUs: Number(dynamic?.maxQueueDelayMicroseconds ?? 0n),
    latencyGoalUs: goalMs === undefined ? undefined : goalMs * 1_000,
    instanceCount: instanceCountOf(config),
    priorityLevels: Number(dynamic?.priorityLevels ?? 0n),
    defaultPriorityLevel: Number(dynamic?.defaultPriorityLevel ?? 0n),
    defaultPolicy: policyOf(dynamic?.defaultQueuePolicy),
    policies,
    queueSizeMax: numberSetting(config, "servable.max_queue_size") ?? QUEUE_SIZE_MAX,
  };
}

/** Instances of all groups together; groups on GPUs count once for each GPU. */
export function instanceCountOf(config: ModelConfig): number {
  let count = 0;
  for (const group of config.instanceGroup) count += Math.max(1, group.count) * (group.kind === ModelInstanceGroup_Kind.GPU ? Math.max(1, group.gpus.length) : 1);
  return Math.max(1, count);
}

/** A number among the configuration's parameters. @throws StatusError `FIELD_INVALID` */
export function numberSetting(config: ModelConfig, key: string): number | undefined {
  const text = config.parameters[key]?.stringValue;
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value <= 0) throw new StatusError("FIELD_INVALID", `parameters["${key}"] is "${text}": it must be a number above 0`, { metadata: { field: `parameters.${key}` } });
  return value;
}

function policyOf(policy: ModelQueuePolicy | undefined): QueuePolicy {
  return {
    timeoutAction: policy?.timeoutAction === ModelQueuePolicy_TimeoutAction.DELAY ? "DELAY" : "REJECT",
    defaultTimeoutUs: Number(policy?.defaultTimeoutMicroseconds ?? 0n),
    // Without a policy of its own a model lets callers say how long they will wait.
    allowTimeoutOverride: policy?.allowTimeoutOverride ?? true,
    maxQueueSize: policy?.maxQueueSize ?? 0,
  };
}

function isBatchNamed({ inputs, outputs }: Signature): boolean {
  const all = [...inputs, ...outputs];
  const name = all[0]?.dimensionNames?.[0] ?? "";
  return /^(n|batch|.*batch.*size|batch.*)$/i.test(name) && inputs.length > 0 && all.every(({ shape, dimensionNames }) => shape[0] === -1 && dimensionNames?.[0] === name);
}
