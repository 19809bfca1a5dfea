import { StatusError } from "@servable/errors";
import type { Engine, EngineProcessOptions } from "@servable/runtime";

/** Starts an engine. */
export type StartEngine = (options: EngineProcessOptions) => Promise<Engine>;

/**
 * Accelerators of a config.pbtxt are wishes: a repository that was written for a server with GPUs is to be served where there
 * are none. An engine that cannot be started with them is started with what the service has.
 *
 * @param fallback the service's own providers; undefined = those of the options are no wish
 */
export function withProviderFallback(startEngine: StartEngine, fallback: readonly string[] | undefined, onFallback: (message: string) => void): StartEngine {
  if (fallback === undefined) return startEngine;
  return async (options) => {
    try {
      return await startEngine(options);
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "MODEL_LOAD_FAILED") throw error;
      // Where the model itself cannot be loaded, the second attempt says so.
      const engine = await startEngine({ ...options, executionProviders: fallback });
      onFallback(error.message);
      return engine;
    }
  };
}
