// A registered model that training begins with, as its version's files have it.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { StatusError } from "@servable/errors";
import { externalDataOf, isExternal, readModel, type ModelProto } from "@servable/onnx";
import { checkTrainable } from "@servable/passes";
import { MANIFEST_FILE, readTaskManifest, type TaskManifest } from "@servable/preprocessing";
import type { AttemptInput } from "../../domain/job-executor.ts";
import { invalid } from "./task-rows.ts";

/** Files of a base model. */
export interface BaseModelFiles {
  readonly model: ModelProto;
  readonly manifest: TaskManifest | undefined;
  /** The text of a file; undefined = the version has none of that name. */
  readonly text: (file: string) => string | undefined;
}

/**
 * Reads and checks the base model of a job.
 *
 * @throws StatusError `FIELD_REQUIRED` without one, `MODEL_REFUSED` naming the operator and the node that cannot be trained
 */
export function readBaseModel({ baseModel, spec }: Pick<AttemptInput, "baseModel" | "spec">): BaseModelFiles {
  if (baseModel === undefined) throw new StatusError("FIELD_REQUIRED", `training_job.spec.base_model is required: family ${(spec.family ?? "").toUpperCase()} begins with a registered model`, { metadata: { field: "training_job.spec.base_model" } });
  const text = (file: string): string | undefined => {
    const path = join(baseModel.folder, file);
    return existsSync(path) ? readFileSync(path, "utf8") : undefined;
  };
  const path = join(baseModel.folder, "model.onnx");
  if (!existsSync(path)) throw invalid("base_model", "has no file model.onnx");
  const model = readModel(readFileSync(path));
  const outside = model.graph?.initializer.find((tensor) => isExternal(tensor));
  if (outside !== undefined) throw invalid("base_model", `keeps the weight "${outside.name}" in the file "${externalDataOf(outside)?.location ?? ""}": models that are trained further hold their weights themselves`);
  checkTrainable(model);
  const manifest = text(MANIFEST_FILE);
  return { model, manifest: manifest === undefined ? undefined : readTaskManifest(manifest), text };
}
