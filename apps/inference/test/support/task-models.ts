import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { readModel, signatureOf } from "@servable/onnx";
import { startEngineProcess, type Engine } from "@servable/runtime";
import type { InferContext } from "../../src/domain/executors/executor.ts";
import type { TaskModel } from "../../src/domain/tasks/task-model.ts";

/** Engines by the file they run: models that differ in their manifest only share one. */
const engines = new Map<string, Promise<Engine>>();

/** Ends all of them. */
export async function stopEngines(): Promise<void> {
  await Promise.all([...engines.values()].map(async (engine) => (await engine)[Symbol.asyncDispose]()));
}

/** A model in a real engine, without the service around it. `files` are texts, or paths with a leading "/". */
export async function startTaskModel(name: string, path: string, files: Readonly<Record<string, string>>): Promise<TaskModel> {
  const starting = engines.get(path) ?? startEngineProcess({ path, model: name });
  engines.set(path, starting);
  const engine = await starting;
  return {
    name,
    version: 1,
    signature: signatureOf(readModel(readFileSync(path))),
    maxBatchSize: 0,
    readFile: async (file) => {
      const content = files[file];
      return content === undefined ? undefined : content.startsWith("/") ? readFile(content) : Buffer.from(content);
    },
    infer: async ({ inputs, outputs }, { signal, deadline }) => {
      const result = await engine.run(inputs, outputs, { signal, deadline });
      return { outputs: result.outputs, timings: { queueNs: 0, inputNs: 0, inferNs: 0, outputNs: 0, executedBatchSize: 1, countsExecution: true } };
    },
  };
}

/** Whoever asks in tests. */
export const CONTEXT: InferContext = { signal: new AbortController().signal, deadline: undefined, project: "default", requestId: "test" };

/** The manifest of an example. */
export function exampleManifest(name: string): string {
  return readFileSync(new URL(`../../../../examples/tasks/${name}/servable.yaml`, import.meta.url), "utf8");
}
