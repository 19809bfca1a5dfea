import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import type { LoadedModel } from "./domain/repository/loaded-model.ts";
import type { ModelRepository } from "./domain/repository/model-repository.ts";
import type { TaskDeps, TaskModel } from "./domain/tasks/task-model.ts";

/** Finds loaded versions as tasks see them; the same version is the same object as long as it is loaded. */
export function createTaskModels(repository: Pick<ModelRepository, "resolve">): TaskDeps["resolve"] {
  const known = new WeakMap<LoadedModel, TaskModel>();
  return (project, name, version) => {
    const model = repository.resolve(project, name, version);
    let found = known.get(model);
    if (found === undefined) known.set(model, (found = taskModelOf(model)));
    return found;
  };
}

function taskModelOf(model: LoadedModel): TaskModel {
  const { spec } = model;
  return {
    name: spec.name,
    version: spec.version,
    // What callers see, whatever shapes the configuration makes of it inside.
    signature: model.target.signature,
    maxBatchSize: spec.config.maxBatchSize,
    async readFile(path) {
      if (model.folder === "") throw new StatusError("MODEL_NOT_READY", `'${spec.name}' version ${spec.version} is being fetched: call again shortly`);
      try {
        return await readFile(join(model.folder, path));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    infer: (request, context) => model.infer(request, context),
  };
}
