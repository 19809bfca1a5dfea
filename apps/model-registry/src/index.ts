export type { RegistryConfig } from "./config.ts";
export { startServer, type RegistryServer } from "./server.ts";
