import type { Kysely } from "kysely";
import type { TrainingStore } from "../domain/training-store.ts";
import { sqlCheckpoints } from "./checkpoint-store.ts";
import { sqlDatasets } from "./dataset-store.ts";
import { sqlJobEvents } from "./job-event-store.ts";
import { sqlJobs } from "./job-store.ts";
import { sqlShares } from "./share-store.ts";
import type { TrainingSchema } from "./schema.ts";
import { sqlStudies } from "./study-store.ts";

/** The service's store on SQLite or PostgreSQL. */
export function createTrainingStore(db: Kysely<TrainingSchema>): TrainingStore {
  return {
    transact: (work) => (db.isTransaction ? work(createTrainingStore(db)) : db.transaction().execute((transaction) => work(createTrainingStore(transaction)))),
    datasets: sqlDatasets(db),
    jobs: sqlJobs(db),
    events: sqlJobEvents(db),
    studies: sqlStudies(db),
    checkpoints: sqlCheckpoints(db),
    shares: sqlShares(db),
  };
}
