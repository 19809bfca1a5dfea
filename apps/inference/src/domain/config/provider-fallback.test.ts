import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StatusError } from "@servable/errors";
import type { Engine, EngineProcessOptions } from "@servable/runtime";
import { modelConfigOf } from "./model-config.ts";
import { withProviderFallback } from "./provider-fallback.ts";
import { sessionSettingsOf } from "./session-settings.ts";

const defaults = { intraOpThreads: 1, executionProviders: ["cpu"], runMsMax: 1_000 };
const settings = (json: string) => sessionSettingsOf(modelConfigOf("m", { inputs: [], outputs: [] }, json), defaults);
const ACCELERATORS = '"optimization": {"execution_accelerators": {"gpu_execution_accelerator": [{"name": "tensorrt"}]}}';

/** Starts only with the CPU. */
function cpuOnly(started: (readonly string[] | undefined)[]) {
  return ({ executionProviders }: EngineProcessOptions): Promise<Engine> => {
    started.push(executionProviders);
    return executionProviders?.[0] === "cpu" ? Promise.resolve({} as Engine) : Promise.reject(new StatusError("MODEL_LOAD_FAILED", "no tensorrt here"));
  };
}

describe("accelerators of a configuration", () => {
  it("are wishes: without them the model runs on what the service has, and somebody is told", async () => {
    const { executionProviders, fallbackProviders } = settings(`{${ACCELERATORS}}`);
    const started: (readonly string[] | undefined)[] = [];
    const told: string[] = [];

    await withProviderFallback(cpuOnly(started), fallbackProviders, (message) => told.push(message))({ path: "m", model: "m", executionProviders });

    assert.deepEqual([started, told], [[["tensorrt", "cpu"], ["cpu"]], ["no tensorrt here"]]);
  });

  it("yield to providers that are named outright, which must be there", async () => {
    const { executionProviders, fallbackProviders } = settings(`{${ACCELERATORS}, "parameters": {"servable.execution_providers": {"string_value": "cuda"}}}`);

    const start = withProviderFallback(cpuOnly([]), fallbackProviders, () => {});

    await assert.rejects(start({ path: "m", model: "m", executionProviders }), /no tensorrt here/);
  });

  it("leave graph levels as Triton's onnxruntime backend has them", () => {
    const level = (value: number) => settings(`{"optimization": {"graph": {"level": ${value}}}}`).graphOptimizationLevel;

    assert.deepEqual([-1, 0, 1, 2].map(level), ["basic", "all", "extended", "disabled"]);
  });
});
