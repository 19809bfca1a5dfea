export { type CreateKeyOptions } from "./access.ts";
export { type ClientCallOptions, type ConnectionOptions } from "./connection.ts";
export { type UploadDatasetOptions } from "./datasets.ts";
export { type DeployOptions } from "./deployments.ts";
export { type InferOptions, type InferResult } from "./inference.ts";
export { type ImportOptions } from "./models.ts";
export { retrying, type RetryPolicy } from "./retry.ts";
export { ServableClient } from "./servable-client.ts";
export { hasEnded, type TrainOptions } from "./training.ts";
