export { createRateLimiter, type RateLimit, type RateLimitedInstance, type RateLimiter, type Release, type ResourceLimit, type ResourceNeed, type ResourceUsage } from "./rate-limiter.ts";
export { seededRandom } from "./seeded-random.ts";
