import type { ImageDecoder } from "@servable/images";
import type { InferContext, InferRequest, InferResult } from "../executors/executor.ts";
import type { Signature } from "../config/signature.ts";

/** What a task needs of a loaded version. The same version is the same object, so that what was read of it may be kept. */
export interface TaskModel {
  readonly name: string;
  readonly version: number;
  readonly signature: Signature;
  /** 0 = the configuration does not batch; then the graph's own first dimension counts. */
  readonly maxBatchSize: number;
  /** A file of the version, undefined where it has none of the name. */
  readFile(path: string): Promise<Buffer | undefined>;
  /** Through the model's own queue. */
  infer(request: InferRequest, context: InferContext): Promise<InferResult>;
}

/** What tasks stand on. */
export interface TaskDeps {
  /** Finds what serves a name. @throws StatusError `MODEL_NOT_FOUND`, `MODEL_NOT_READY` */
  readonly resolve: (project: string, name: string, version: string) => TaskModel;
  readonly images: ImageDecoder;
}

/** Which version is asked. */
export interface TaskTarget {
  readonly model: string;
  /** Empty = the newest. */
  readonly version: string;
}
