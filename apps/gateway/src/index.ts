export { gatewayConfigFromEnv, type GatewayConfig } from "./config.ts";
export { startServer, type GatewayServer } from "./server.ts";
