export { startPlatform, type Platform, type PlatformOptions } from "./supervisor/platform.ts";
export { type ServiceEvent } from "./supervisor/supervised-service.ts";
export { runCli } from "./run-cli.ts";
