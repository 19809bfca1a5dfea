export type { TrainingConfig } from "./config.ts";
export { startServer, type TrainingServer } from "./server.ts";
