import { join } from "node:path";
import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { Engine, EngineProcessOptions } from "@servable/runtime";
import { bf16Engines, usesBf16 } from "./bf16-engine.ts";
import { BatchingExecutor } from "./batching-executor.ts";
import { batchingOptionsOf, instanceCountOf } from "./batching-options.ts";
import type { Executor } from "./executor.ts";
import type { VersionSpec } from "./loaded-model.ts";
import { PaddingExecutor } from "./padding-executor.ts";
import { paddingRulesOf } from "./padding-rules.ts";
import { sessionSettingsOf, type SessionDefaults } from "./session-settings.ts";

/** What executors are made with. */
export interface ExecutorDeps {
  readonly startEngine: (options: EngineProcessOptions) => Promise<Engine>;
  readonly session: SessionDefaults;
  /** Told of an engine's crash; `final` when it stays down. */
  readonly onCrash: (spec: VersionSpec, crash: { readonly message: string; readonly restartCount: number; readonly final: boolean }) => void;
}

/** How an executor is made of a version's files. `onDown` is told when it will answer no more. */
export type CreateExecutor = (folder: string, spec: VersionSpec, onDown: (message: string) => void) => Promise<Executor>;

/**
 * Makes what answers a version's requests, by its configuration: batches over engines, or one of the special schedulers.
 *
 * @throws StatusError `FIELD_INVALID`, `MODEL_LOAD_FAILED`, `ENGINE_TIMEOUT`, `ENGINE_CRASHED`
 */
export function executorFactory(deps: ExecutorDeps): CreateExecutor {
  return async (folder, spec, onDown) => {
    const { config, signature } = spec;
    const batching = batchingOptionsOf(signature, config);
    const padding = paddingRulesOf(signature, config);
    const down = new Set<number>();
    const made: { executor?: BatchingExecutor } = {};
    const engines = await startEngines(deps, join(folder, "model.onnx"), spec, instanceCountOf(config), {
      onUp: () => made.executor?.wake(),
      onDown: (instance, message) => {
        down.add(instance);
        if (down.size < instanceCountOf(config)) return;
        made.executor?.fail(new StatusError("ENGINE_CRASHED", `${spec.name} is down: ${message}`));
        onDown(message);
      },
    });
    made.executor = new BatchingExecutor({ model: spec.name, signature, batching, preserveOrdering: preservesOrdering(config), engines });
    return padding === undefined ? made.executor : new PaddingExecutor(made.executor, signature, padding);
  };
}

/** Starts the instances of a version side by side; when one cannot, none stays. */
export async function startEngines(
  { startEngine, session, onCrash }: ExecutorDeps,
  path: string,
  spec: VersionSpec,
  count: number,
  { onUp, onDown }: { onUp: () => void; onDown: (instance: number, message: string) => void },
): Promise<Engine[]> {
  const settings = sessionSettingsOf(spec.config, session);
  const start = usesBf16(spec.signature) ? bf16Engines(startEngine, spec.signature) : startEngine;
  const started = await Promise.allSettled(
    Array.from({ length: count }, (_, instance) =>
      start({
        path,
        model: spec.name,
        ...settings,
        onUp,
        onCrash: (crash) => {
          onCrash(spec, crash);
          if (crash.final) onDown(instance, `its engine died ${crash.restartCount} times in a row (${crash.message})`);
        },
      }),
    ),
  );
  const engines = started.filter((each) => each.status === "fulfilled").map(({ value }) => value);
  const failed = started.find((each) => each.status === "rejected");
  if (failed === undefined) return engines;
  await Promise.all(engines.map((engine) => engine[Symbol.asyncDispose]()));
  throw failed.reason;
}

function preservesOrdering(config: ModelConfig): boolean {
  return config.schedulingChoice.case === "dynamicBatching" && config.schedulingChoice.value.preserveOrdering;
}
