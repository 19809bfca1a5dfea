import { StatusError } from "@servable/errors";
import { isUniqueViolation } from "@servable/storage";
import type { Kysely } from "kysely";
import type { TrainingStore } from "../domain/training-store.ts";
import { sqlDatasets } from "./dataset-store.ts";
import { sqlJobEvents } from "./job-event-store.ts";
import { sqlJobs } from "./job-store.ts";
import type { TrainingSchema } from "./schema.ts";

/** The service's store on SQLite or PostgreSQL. */
export function createTrainingStore(db: Kysely<TrainingSchema>): TrainingStore {
  return {
    transact: (work) => (db.isTransaction ? work(createTrainingStore(db)) : db.transaction().execute((transaction) => work(createTrainingStore(transaction)))),
    datasets: sqlDatasets(db),
    jobs: sqlJobs(db),
    events: sqlJobEvents(db),
  };
}

/** Runs an insert; a row that exists is ALREADY_EXISTS. */
export async function insertNew(what: string, insert: Promise<unknown>): Promise<void> {
  try {
    await insert;
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw new StatusError("ALREADY_EXISTS", `${what} exists already: choose another id or use it as it is`, { metadata: { resource: what }, cause: error });
    }
    throw error;
  }
}
