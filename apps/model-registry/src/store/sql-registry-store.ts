import type { Kysely } from "kysely";
import type { RegistryStore } from "../domain/registry-store.ts";
import { sqlAliases } from "./alias-store.ts";
import { sqlDeployments } from "./deployment-store.ts";
import { sqlEvents } from "./event-log.ts";
import { sqlModels } from "./model-store.ts";
import { sqlReplicas } from "./replica-store.ts";
import type { RegistrySchema } from "./schema.ts";
import { sqlVersions } from "./version-store.ts";

/** The registry's store on SQLite or PostgreSQL. */
export function createRegistryStore(db: Kysely<RegistrySchema>): RegistryStore {
  return {
    transact: (work) => (db.isTransaction ? work(createRegistryStore(db)) : db.transaction().execute((transaction) => work(createRegistryStore(transaction)))),
    models: sqlModels(db),
    versions: sqlVersions(db),
    aliases: sqlAliases(db),
    deployments: sqlDeployments(db),
    replicas: sqlReplicas(db),
    events: sqlEvents(db),
  };
}
