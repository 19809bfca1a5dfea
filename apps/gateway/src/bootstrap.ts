import { existsSync } from "node:fs";
import { generateApiKey, hashApiKey, visiblePrefix } from "@servable/auth";
import { readOrCreateSecret, type DataDir } from "@servable/storage";
import type { Logger } from "@servable/telemetry";
import type { ApiKeyStore } from "./store/api-key-store.ts";
import type { ProjectStore } from "./store/project-store.ts";

/** The project that every installation has. */
export const DEFAULT_PROJECT = "default";

/** What the first start needs. */
export interface BootstrapDeps {
  readonly projects: ProjectStore;
  readonly keys: ApiKeyStore;
  readonly dataDir: DataDir;
  readonly nowMs: number;
  readonly logger: Logger;
}

/**
 * Makes the default project and the first admin key: the one the operator chose, or one that is made once and kept in
 * the data directory for the local command line. Answers a key that was made just now, so that it is shown once.
 */
export async function bootstrap(chosen: string | undefined, { projects, keys, dataDir, nowMs, logger }: BootstrapDeps): Promise<string | undefined> {
  await projects.ensure({ id: DEFAULT_PROJECT, displayName: "Default project", createTimeMs: nowMs });
  const file = dataDir.file("admin-key");
  const made = chosen === undefined && !existsSync(file);
  const secret = chosen ?? readOrCreateSecret(file, generateApiKey);
  const hash = hashApiKey(secret);
  const works = await keys.ensure({
    projectId: DEFAULT_PROJECT,
    // A chosen key replaces the one chosen before; of made ones each data directory has its own.
    id: chosen === undefined ? `admin-${hash.slice(0, 8)}` : "bootstrap",
    hash,
    prefix: visiblePrefix(secret),
    role: "admin",
    displayName: chosen === undefined ? "Local admin" : "SERVABLE_BOOTSTRAP_API_KEY",
    createTimeMs: nowMs,
    expireTimeMs: undefined,
    lastUseTimeMs: undefined,
  });
  if (!works) logger.warn({ event: "bootstrap_key_revoked", help: "the first admin key was revoked and stays so: set SERVABLE_BOOTSTRAP_API_KEY to a new one if no other admin key is left" });
  return made ? secret : undefined;
}
