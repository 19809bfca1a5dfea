export { type Engine, type NamedTensor, type RunOptions, type RunTimings } from "./engine.ts";
export { startEngineProcess, type EngineProcessOptions } from "./engine-process.ts";
