export { LOADS_PAID_OFF, planEviction, type EvictionPlan, type EvictionRequest, type ResidentModel } from "./eviction.ts";
export { estimateFootprintBytes } from "./footprint.ts";
export { movedCopies, placeModels, type PlacedModel, type PlacementReplica } from "./placement.ts";
export { createRateLimiter, type RateLimit, type RateLimitedInstance, type RateLimiter, type Release, type ResourceLimit, type ResourceNeed, type ResourceUsage } from "./rate-limiter.ts";
export { seededRandom } from "./seeded-random.ts";
export { SequenceBatcher, type SequenceBatch, type SequenceBatcherDeps, type SequenceBatcherOptions, type SequenceStrategy } from "./sequence-batcher.ts";
export { type Sequence, type SequenceArrival, type SequenceRequest } from "./sequence-table.ts";
