import type { Identity } from "@servable/auth";

/** A registered version that training begins with. */
export interface BaseModel {
  /** Its number's resource name, also where an alias was asked for. */
  readonly version: string;
  /** "sha256:…" of its files. */
  readonly digest: string;
}

/** The registry, as far as training reads from it; on behalf of a job's creator. */
export interface BaseModels {
  /** @throws StatusError `MODEL_NOT_FOUND`, `MODEL_VERSION_NOT_FOUND`, `PERMISSION_DENIED`, `STATE_WRONG` when it is not READY */
  resolve(name: string, identity: Identity, signal?: AbortSignal): Promise<BaseModel>;
  /** Writes its files into an empty folder. */
  fetch(version: string, identity: Identity, folder: string, signal: AbortSignal): Promise<BaseModel>;
}
