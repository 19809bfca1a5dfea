import { insertNew } from "@servable/storage";
import type { Kysely } from "kysely";
import type { StudyEventRecord, StudyRecord, TrialRecord } from "../domain/study/study-records.ts";
import type { StudyStore } from "../domain/study/study-store.ts";
import type { TrainingSchema } from "./schema.ts";

const ACTIVE = ["RUNNING", "PAUSED", "FINISHING"];

/** Studies, their trials and their logs in SQL. */
export function sqlStudies(db: Kysely<TrainingSchema>): StudyStore {
  const studies = () => db.selectFrom("training_study").select("record_json");
  const trials = (study: string) => db.selectFrom("training_trial").select("record_json").where("study", "=", study);
  return {
    insert: async (draft) => {
      const { value } = await db
        .updateTable("training_counter")
        .set((eb) => ({ value: eb("value", "+", 1) }))
        .where("name", "=", "study")
        .returning("value")
        .executeTakeFirstOrThrow();
      const study: StudyRecord = { ...draft, sequence: value };
      const { name, project, sequence, state, dataset, requestId } = study;
      const row = { name, project, sequence, state, dataset, request_id: requestId === "" ? null : requestId, last_offset: 0, revision: 1, record_json: JSON.stringify(study) };
      await insertNew(name, db.insertInto("training_study").values(row).execute());
      return study;
    },
    get: async (name) => parsed<StudyRecord>(await studies().where("name", "=", name).executeTakeFirst()),
    getByRequestId: async (project, requestId) => parsed<StudyRecord>(await studies().where("project", "=", project).where("request_id", "=", requestId).executeTakeFirst()),
    lock: async (name) =>
      parsed<StudyRecord>(
        await db
          .updateTable("training_study")
          .set((eb) => ({ revision: eb("revision", "+", 1) }))
          .where("name", "=", name)
          .returning("record_json")
          .executeTakeFirst(),
      ),
    update: async (study) => void (await db.updateTable("training_study").set({ state: study.state, record_json: JSON.stringify(study) }).where("name", "=", study.name).execute()),
    list: async (project, { after, limit }) => {
      const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(after);
      return all<StudyRecord>(await studies().where("project", "=", project).where("sequence", "<", before).orderBy("sequence", "desc").limit(limit).execute());
    },
    unfinished: async () => {
      const active = await db.selectFrom("training_study").select("name").where("state", "in", ACTIVE).execute();
      const unsettled = await db.selectFrom("training_trial").select("study as name").where("settled", "=", 0).distinct().execute();
      return [...new Set([...active, ...unsettled].map(({ name }) => name))];
    },
    countActive: async (project) =>
      Number((await db.selectFrom("training_study").select((eb) => eb.fn.countAll().as("count")).where("project", "=", project).where("state", "in", ACTIVE).executeTakeFirstOrThrow()).count),
    activeOn: async (dataset) => parsed<StudyRecord>(await studies().where("dataset", "=", dataset).where("state", "in", ACTIVE).limit(1).executeTakeFirst()),
    trials: {
      insert: async (study, trial) => void (await db.insertInto("training_trial").values({ study, number: trial.number, settled: Number(trial.settled), record_json: JSON.stringify(trial) }).execute()),
      update: async (study, trial) =>
        void (await db.updateTable("training_trial").set({ settled: Number(trial.settled), record_json: JSON.stringify(trial) }).where("study", "=", study).where("number", "=", trial.number).execute()),
      list: async (study, { after, limit }) => all<TrialRecord>(await trials(study).where("number", ">", Number(after ?? -1)).orderBy("number").limit(limit).execute()),
      unsettled: async (study) => all<TrialRecord>(await trials(study).where("settled", "=", 0).orderBy("number").execute()),
    },
    events: {
      append: async (study, { timeMs, event }, keep) => {
        // The study's row lock is held to the commit: offsets become visible in their order, so no watcher skips one.
        const { last_offset: offset } = await db
          .updateTable("training_study")
          .set((eb) => ({ last_offset: eb("last_offset", "+", 1) }))
          .where("name", "=", study)
          .returning("last_offset")
          .executeTakeFirstOrThrow();
        await db.insertInto("training_study_event").values({ study, event_offset: offset, time_ms: timeMs, event_json: JSON.stringify(event) }).execute();
        if (offset > keep) await db.deleteFrom("training_study_event").where("study", "=", study).where("event_offset", "<=", offset - keep).execute();
        return offset;
      },
      after: async (study, offset, limit) =>
        (await db.selectFrom("training_study_event").selectAll().where("study", "=", study).where("event_offset", ">", offset).orderBy("event_offset").limit(limit).execute()).map((row) => ({
          offset: row.event_offset,
          timeMs: row.time_ms,
          event: JSON.parse(row.event_json) as StudyEventRecord["event"],
        })),
    },
  };
}

function parsed<T>(row: { record_json: string } | undefined): T | undefined {
  return row && (JSON.parse(row.record_json) as T);
}

function all<T>(rows: readonly { record_json: string }[]): T[] {
  return rows.map(({ record_json }) => JSON.parse(record_json) as T);
}
