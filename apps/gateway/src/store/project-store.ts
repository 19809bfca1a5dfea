import { StatusError } from "@servable/errors";
import { isUniqueViolation, type Database } from "@servable/storage";
import type { GatewaySchema } from "./schema.ts";

/** A tenant. */
export interface Project {
  readonly id: string;
  readonly displayName: string;
  readonly createTimeMs: number;
}

/** Projects in SQL. */
export interface ProjectStore {
  /** @throws StatusError `ALREADY_EXISTS` */
  create(project: Project): Promise<Project>;
  /** Creates it unless it is there. */
  ensure(project: Project): Promise<void>;
  /** @throws StatusError `PROJECT_NOT_FOUND` */
  get(id: string): Promise<Project>;
  /** Up to `limit` projects by id, those after `afterId`. */
  list(limit: number, afterId?: string): Promise<Project[]>;
}

/** Projects in the gateway's database. */
export function createProjectStore({ sql }: Database<GatewaySchema>): ProjectStore {
  const insert = ({ id, displayName, createTimeMs }: Project) => sql.insertInto("gateway_project").values({ id, display_name: displayName, create_time: createTimeMs });
  return {
    async create(project) {
      try {
        await insert(project).execute();
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new StatusError("ALREADY_EXISTS", `projects/${project.id} exists: use it, or choose another project_id`, { metadata: { project: project.id }, cause: error });
      }
      return project;
    },
    async ensure(project) {
      await insert(project)
        .onConflict((conflict) => conflict.column("id").doNothing())
        .execute();
    },
    async get(id) {
      const row = await sql.selectFrom("gateway_project").selectAll().where("id", "=", id).executeTakeFirst();
      if (row === undefined) throw new StatusError("PROJECT_NOT_FOUND", `there is no projects/${id}: create it first, or list the projects`, { metadata: { project: id } });
      return projectOf(row);
    },
    async list(limit, afterId = "") {
      const rows = await sql.selectFrom("gateway_project").selectAll().where("id", ">", afterId).orderBy("id").limit(limit).execute();
      return rows.map(projectOf);
    },
  };
}

function projectOf(row: GatewaySchema["gateway_project"]): Project {
  return { id: row.id, displayName: row.display_name, createTimeMs: row.create_time };
}
