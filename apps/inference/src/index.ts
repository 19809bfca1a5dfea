export type { InferenceConfig } from "./config.ts";
export { startServer, type InferenceServer } from "./server.ts";
