import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { IamService, type ApiKey, type ApiKey_Role, type CreateApiKeyResponse, type Project } from "@servable/contracts/iam/v1/iam";
import type { Client } from "@servable/grpc";
import { allPages, type ClientCallOptions, type Connection } from "./connection.ts";

/** A key to be made. */
export interface CreateKeyOptions extends ClientCallOptions {
  readonly role: ApiKey_Role;
  readonly displayName?: string | undefined;
  /** When it stops to work; absent = never. */
  readonly expireTime?: Date | undefined;
}

/** Projects and API keys, for administrators. */
export class Access {
  readonly #connection: Connection;
  readonly #iam: Client<typeof IamService>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#iam = connection.client(IamService);
  }

  /** A new key of the client's project; the answer alone carries its secret. */
  createKey(options: CreateKeyOptions): Promise<CreateApiKeyResponse> {
    const expiry = options.expireTime === undefined ? {} : { expireTime: timestampFromDate(options.expireTime) };
    return this.#iam.createApiKey({ parent: this.#connection.parent, apiKey: { displayName: options.displayName ?? "", role: options.role, ...expiry } }, { signal: options.signal });
  }

  keys(options: ClientCallOptions = {}): Promise<ApiKey[]> {
    const { parent } = this.#connection;
    return allPages(async (pageToken) => {
      const { apiKeys, nextPageToken } = await this.#connection.retrying(() => this.#iam.listApiKeys({ parent, pageSize: 1_000, pageToken }, options), options);
      return { items: apiKeys, nextPageToken };
    });
  }

  /** Revokes a key at once. @throws StatusError `API_KEY_NOT_FOUND` */
  async revokeKey(key: string, options: ClientCallOptions = {}): Promise<void> {
    await this.#iam.deleteApiKey({ name: this.#connection.name("apiKeys", key) }, options);
  }

  createProject(project: string, options: ClientCallOptions & { readonly displayName?: string | undefined } = {}): Promise<Project> {
    return this.#iam.createProject({ projectId: project, project: { displayName: options.displayName ?? "" } }, { signal: options.signal });
  }

  projects(options: ClientCallOptions = {}): Promise<Project[]> {
    return allPages(async (pageToken) => {
      const { projects, nextPageToken } = await this.#connection.retrying(() => this.#iam.listProjects({ pageSize: 1_000, pageToken }, options), options);
      return { items: projects, nextPageToken };
    });
  }
}
