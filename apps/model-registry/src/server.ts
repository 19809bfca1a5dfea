import { join } from "node:path";
import { internalAuthenticator, startGrpcServer } from "@servable/grpc";
import { ChangeSignal, openDatabase, openFileBlobStore } from "@servable/storage";
import { createLogger } from "@servable/telemetry";
import type { RegistryConfig } from "./config.ts";
import { ArtifactStore, type Validator } from "./domain/artifact-store.ts";
import { DeploymentCatalog } from "./domain/deployment-catalog.ts";
import { EventWatch } from "./domain/event-watch.ts";
import { ModelCatalog } from "./domain/model-catalog.ts";
import { ServingWatch } from "./domain/serving-watch.ts";
import { recordCall } from "./events.ts";
import { deploymentService } from "./rpc/deployment-service.ts";
import { modelRegistryService } from "./rpc/model-registry-service.ts";
import { REGISTRY_MIGRATIONS, type RegistrySchema } from "./store/schema.ts";
import { createRegistryStore } from "./store/sql-registry-store.ts";
import { createValidator } from "./worker/validator-process.ts";

/** A running model-registry; disposing drains it. */
export interface RegistryServer extends AsyncDisposable {
  readonly address: string;
}

/** Builds the service from its parts and starts it. @throws StatusError `PORT_IN_USE`, `DATABASE_UNAVAILABLE`, `DATA_DIR_NEWER` */
export async function startServer(config: RegistryConfig, overrides: { now?: () => number; validate?: Validator } = {}): Promise<RegistryServer> {
  const database = await openDatabase<RegistrySchema>({ url: config.databaseUrl, namespace: "registry", migrations: REGISTRY_MIGRATIONS });
  const now = overrides.now ?? Date.now;
  const store = createRegistryStore(database.sql);
  const changes = new ChangeSignal();
  const catalog = new ModelCatalog({ store, changes, now });
  const deployments = new DeploymentCatalog({ store, changes, now });
  const artifacts = new ArtifactStore({
    catalog,
    store,
    blobs: await openFileBlobStore(config.blobDir),
    validate: overrides.validate ?? createValidator({ timeoutMs: config.validationTimeoutMs, memoryBytesMax: config.validationMemoryBytesMax }),
    artifactBytesMax: config.artifactBytesMax,
    checkDir: join(config.blobDir, "checks"),
  });
  const serving = new ServingWatch({ store, changes, now, leaseMs: config.replicaLeaseMs });

  try {
    const server = await startGrpcServer({
      address: config.listen,
      services: [modelRegistryService({ catalog, artifacts, events: new EventWatch(store, changes) }), deploymentService({ deployments, serving })],
      authenticate: internalAuthenticator(config.internalToken),
      onCallEnd: recordCall,
      logger: createLogger("model-registry"),
    });
    return {
      address: server.address,
      [Symbol.asyncDispose]: async () => {
        await server[Symbol.asyncDispose]();
        await database[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await database[Symbol.asyncDispose]();
    throw error;
  }
}
