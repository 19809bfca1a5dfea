import type { ModelConfig } from "@servable/contracts/open-inference/model_config";
import type { Finding } from "./findings.ts";

/** A file that goes with a version. */
export interface VersionFile {
  /** Where it belongs inside the version, e.g. "model.onnx", "labels.txt", "warmup/input". */
  readonly path: string;
  /** Where it is on this machine. */
  readonly source: string;
  readonly sizeBytes: number;
}

/** A numbered version. */
export interface TritonVersion {
  readonly number: number;
  /** The model's files and the version's own; an ensemble has no model file. */
  readonly files: readonly VersionFile[];
}

/** What runs a model. */
export type ModelKind = "onnx" | "ensemble" | "unsupported";

/** A model of a repository. */
export interface TritonModel {
  /** The folder's name, which is the model's. */
  readonly name: string;
  readonly folder: string;
  readonly kind: ModelKind;
  /** Why nothing of it can be served; "" when it can. */
  readonly refusal: string;
  /** Absent = all of it follows from the graph. */
  readonly config: ModelConfig | undefined;
  /** Ascending. */
  readonly versions: readonly TritonVersion[];
  /** What becomes of each setting and file. */
  readonly findings: readonly Finding[];
}

/** A folder of models, or a single model's folder. */
export interface TritonRepository {
  readonly folder: string;
  /** By name. */
  readonly models: readonly TritonModel[];
}
