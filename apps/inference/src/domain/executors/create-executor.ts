import { join } from "node:path";
import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import { StatusError } from "@servable/errors";
import type { Engine, EngineProcessOptions } from "@servable/runtime";
import type { RateLimiter } from "@servable/scheduling";
import { bf16Engines, usesBf16 } from "./bf16-engine.ts";
import { BatchingExecutor } from "./batching-executor.ts";
import { batchingOptionsOf, instanceCountOf } from "../config/batching-options.ts";
import { createPipelineExecutor } from "./create-pipeline.ts";
import { DecoupledExecutor, isDecoupled, readDecoupledSettings } from "./decoupled-executor.ts";
import type { Executor } from "./executor.ts";
import type { VersionSpec } from "../repository/loaded-model.ts";
import { clientSignatureOf } from "../config/model-config.ts";
import { PaddingExecutor } from "./padding-executor.ts";
import { paddingRulesOf } from "../config/padding-rules.ts";
import { isPipeline } from "../config/pipeline-config.ts";
import type { PipelineModels } from "./pipeline-models.ts";
import { withProviderFallback } from "../config/provider-fallback.ts";
import { RateLimitedEngine, rateLimitOf } from "./rate-limited-engine.ts";
import { SequenceExecutor } from "./sequence-executor.ts";
import { readSequenceSettings } from "../config/sequence-settings.ts";
import { sessionSettingsOf, type SessionDefaults } from "../config/session-settings.ts";
import type { TaskDeps } from "../tasks/task-model.ts";

/** What executors are made with. */
export interface ExecutorDeps {
  readonly startEngine: (options: EngineProcessOptions) => Promise<Engine>;
  readonly session: SessionDefaults;
  /** Resources that all models of the replica share. */
  readonly rateLimiter: RateLimiter;
  /** What the steps before and behind the models of a graph stand on; asked for when a graph is loaded. */
  readonly tasks: () => TaskDeps;
  /** Told of an engine's crash; `final` when it stays down. */
  readonly onCrash: (spec: VersionSpec, crash: { readonly message: string; readonly restartCount: number; readonly final: boolean }) => void;
  /** Told when a version runs without the accelerators that its configuration asks for. */
  readonly onProviderMissing?: (spec: VersionSpec, message: string) => void;
}

/** How an executor is made of a version's files. `onDown` is told when it will answer no more; `models` are those that pipelines call. */
export type CreateExecutor = (folder: string, spec: VersionSpec, onDown: (message: string) => void, models: PipelineModels) => Promise<Executor>;

/**
 * Makes what answers a version's requests, by its configuration: batches over engines, sequences, steps of other models; each
 * run's rows as answers of their own where the model is decoupled.
 *
 * @throws StatusError `FIELD_INVALID`, `MODEL_LOAD_FAILED`, `ENGINE_TIMEOUT`, `ENGINE_CRASHED`, `STEP_NOT_READY`
 */
export function executorFactory(deps: ExecutorDeps): CreateExecutor {
  return async (folder, spec, onDown, models) => {
    const { config, signature } = spec;
    if (isPipeline(config)) return createPipelineExecutor(spec, models, deps.tasks());
    const decoupled = isDecoupled(config) ? readDecoupledSettings(config, signature) : undefined;
    const executor = config.schedulingChoice.case === "sequenceBatching" ? await createSequences(deps, folder, spec, onDown) : await createBatches(deps, folder, spec, onDown);
    return decoupled === undefined ? executor : new DecoupledExecutor(executor, decoupled);
  };
}

async function createBatches(deps: ExecutorDeps, folder: string, spec: VersionSpec, onDown: (message: string) => void): Promise<Executor> {
  const { config, signature } = spec;
  const batching = batchingOptionsOf(signature, config);
  const padding = paddingRulesOf(signature, config);
  const made: { executor?: BatchingExecutor } = {};
  const engines = await startEngines(deps, folder, spec, {
    onUp: () => made.executor?.wake(),
    onDown: (message) => {
      made.executor?.fail(new StatusError("ENGINE_CRASHED", `${spec.name} is down: ${message}`));
      onDown(message);
    },
  });
  made.executor = new BatchingExecutor({ model: spec.name, signature, batching, preserveOrdering: preservesOrdering(config), engines });
  return padding === undefined ? made.executor : new PaddingExecutor(made.executor, signature, padding);
}

async function createSequences(deps: ExecutorDeps, folder: string, spec: VersionSpec, onDown: (message: string) => void): Promise<Executor> {
  const { name, config, signature } = spec;
  const settings = await readSequenceSettings(config, signature, folder);
  const engines = await startEngines(deps, folder, spec, { onUp: () => {}, onDown });
  return new SequenceExecutor({ model: name, maxBatchSize: config.maxBatchSize, signature: clientSignatureOf(config), settings, engines });
}

/** Starts the instances of a version side by side; when one cannot, none stays. `onDown` is told when all of them are down for good. */
async function startEngines({ startEngine, session, rateLimiter, onCrash, onProviderMissing }: ExecutorDeps, folder: string, spec: VersionSpec, { onUp, onDown }: { onUp: () => void; onDown: (message: string) => void }): Promise<Engine[]> {
  const { fallbackProviders, ...settings } = sessionSettingsOf(spec.config, session);
  const start = usesBf16(spec.signature) ? bf16Engines(startEngine, spec.signature) : startEngine;
  const startOrFallBack = withProviderFallback(start, fallbackProviders, (message) => onProviderMissing?.(spec, message));
  const path = join(folder, "model.onnx");
  const count = instanceCountOf(spec.config);
  const down = new Set<number>();
  const started = await Promise.allSettled(
    Array.from({ length: count }, async (_, instance) => {
      // First, so that an instance that needs more than there is does not start at all.
      const needs = rateLimitOf(spec.name, spec.config, instance);
      const limit = needs === undefined ? undefined : rateLimiter.register(needs);
      try {
        const engine = await startOrFallBack({
          path,
          model: spec.name,
          ...settings,
          memoryBytesMax: session.memoryBytesMax,
          onUp,
          onCrash: (crash) => {
            onCrash(spec, crash);
            if (crash.final) down.add(instance);
            if (crash.final && down.size === count) onDown(`its engine died ${crash.restartCount} times in a row (${crash.message})`);
          },
        });
        return limit === undefined ? engine : new RateLimitedEngine(engine, limit);
      } catch (error) {
        limit?.[Symbol.dispose]();
        throw error;
      }
    }),
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
