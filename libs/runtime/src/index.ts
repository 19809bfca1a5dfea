export { type Engine, type EngineInput, type NamedTensor, type RunOptions, type RunResult, type RunTimings } from "./engine.ts";
export { type SessionSettings } from "./engine-protocol.ts";
export { startEngineProcess, type EngineProcessOptions } from "./engine-process.ts";
