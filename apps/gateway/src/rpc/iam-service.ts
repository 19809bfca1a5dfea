import { randomBytes } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { checkId, checkText, decodePageToken, formatName, pageOf, pageSizeOf, parseName } from "@servable/aip";
import { generateApiKey, hashApiKey, requireProject, requireRole, visiblePrefix, type Role } from "@servable/auth";
import { ApiKey_Role, IamService, type ApiKeySchema, type ProjectSchema } from "@servable/contracts/iam/v1/iam";
import { StatusError } from "@servable/errors";
import { implement, type ServiceRegistration } from "@servable/grpc";
import type { Authenticator } from "../domain/authenticator.ts";
import type { ApiKey, ApiKeyStore } from "../store/api-key-store.ts";
import type { Project, ProjectStore } from "../store/project-store.ts";

const DISPLAY_NAME_MAX = 200;
const KEY_NAME = "projects/{project}/apiKeys/{api_key}";
const PROJECT_NAME = "projects/{project}";

const ROLES: Readonly<Record<ApiKey_Role, Role>> = {
  [ApiKey_Role.UNSPECIFIED]: "user",
  [ApiKey_Role.USER]: "user",
  [ApiKey_Role.DEVELOPER]: "developer",
  [ApiKey_Role.ADMIN]: "admin",
};
const ROLE_NUMBERS: Readonly<Record<Role, ApiKey_Role>> = { user: ApiKey_Role.USER, developer: ApiKey_Role.DEVELOPER, admin: ApiKey_Role.ADMIN };

/** What the service stands on. */
export interface IamDeps {
  readonly projects: ProjectStore;
  readonly keys: ApiKeyStore;
  readonly authenticator: Authenticator;
  readonly now: () => number;
}

/** Projects and keys, for administrators; anyone may read the own project. */
export function iamService({ projects, keys, authenticator, now }: IamDeps): ServiceRegistration {
  return implement(IamService, {
    async createProject({ projectId, project }, { identity }) {
      requireRole(identity, "admin");
      checkId("project_id", projectId);
      const displayName = checkText("project.display_name", project?.displayName ?? "", DISPLAY_NAME_MAX);
      return projectMessage(await projects.create({ id: projectId, displayName, createTimeMs: now() }));
    },
    async getProject({ name }, { identity }) {
      const { project } = parseName(PROJECT_NAME, name);
      requireProject(identity, project);
      return projectMessage(await projects.get(project));
    },
    async listProjects({ pageSize, pageToken }, { identity }) {
      requireRole(identity, "admin");
      const size = pageSizeOf(pageSize);
      const after = decodePageToken("projects", pageToken);
      const page = pageOf(await projects.list(size + 1, after === undefined ? undefined : String(after)), size, "projects", ({ id }) => id);
      return { projects: page.rows.map(projectMessage), nextPageToken: page.nextPageToken };
    },
    async createApiKey({ parent, apiKey }, { identity }) {
      requireRole(identity, "admin");
      const { project } = parseName(PROJECT_NAME, parent, "parent");
      await projects.get(project);
      const expireTimeMs = apiKey?.expireTime && timestampMs(apiKey.expireTime);
      if (expireTimeMs !== undefined && expireTimeMs <= now()) {
        throw new StatusError("FIELD_INVALID", "api_key.expire_time is in the past: choose a later time or leave it out", { metadata: { field: "api_key.expire_time" } });
      }
      const secret = generateApiKey();
      const key = await keys.create({
        projectId: project,
        id: `k${randomBytes(6).toString("hex")}`,
        hash: hashApiKey(secret),
        prefix: visiblePrefix(secret),
        role: ROLES[apiKey?.role ?? ApiKey_Role.UNSPECIFIED] ?? "user",
        displayName: checkText("api_key.display_name", apiKey?.displayName ?? "", DISPLAY_NAME_MAX),
        createTimeMs: now(),
        expireTimeMs,
        lastUseTimeMs: undefined,
      });
      return { apiKey: keyMessage(key), secret };
    },
    async listApiKeys({ parent, pageSize, pageToken }, { identity }) {
      requireRole(identity, "admin");
      const { project } = parseName(PROJECT_NAME, parent, "parent");
      await projects.get(project);
      const size = pageSizeOf(pageSize);
      const list = `${parent}/apiKeys`;
      const after = decodePageToken(list, pageToken);
      const page = pageOf(await keys.list(project, size + 1, after === undefined ? undefined : String(after)), size, list, ({ id }) => id);
      return { apiKeys: page.rows.map(keyMessage), nextPageToken: page.nextPageToken };
    },
    async deleteApiKey({ name }, { identity }) {
      requireRole(identity, "admin");
      const { project, api_key: id } = parseName(KEY_NAME, name);
      if (identity.principal === name) throw new StatusError("RESOURCE_IN_USE", "a key cannot revoke itself: use another admin key", { metadata: { apiKey: name } });
      const { hash } = await keys.get(project, id);
      await keys.revoke(project, id, now());
      authenticator.forget(hash);
      return {};
    },
  });
}

function projectMessage({ id, displayName, createTimeMs }: Project): MessageInitShape<typeof ProjectSchema> {
  return { name: formatName(PROJECT_NAME, { project: id }), displayName, createTime: timestampFromMs(createTimeMs) };
}

function keyMessage(key: ApiKey): MessageInitShape<typeof ApiKeySchema> {
  return {
    name: formatName(KEY_NAME, { project: key.projectId, api_key: key.id }),
    displayName: key.displayName,
    role: ROLE_NUMBERS[key.role],
    prefix: key.prefix,
    createTime: timestampFromMs(key.createTimeMs),
    ...(key.expireTimeMs !== undefined && { expireTime: timestampFromMs(key.expireTimeMs) }),
    ...(key.lastUseTimeMs !== undefined && { lastUseTime: timestampFromMs(key.lastUseTimeMs) }),
  };
}
