import { timingSafeEqual } from "node:crypto";
import { StatusError } from "@servable/errors";

// The gateway verifies a key once; behind it the caller travels as plain metadata, believed because the installation's
// token comes with it. Services behind the gateway never see keys.

/** What a caller may do; each role includes the ones before it. */
export type Role = "user" | "developer" | "admin";

const ROLES: readonly Role[] = ["user", "developer", "admin"];

/** Who makes a call. */
export interface Identity {
  /** Project id, e.g. `default`. */
  readonly project: string;
  /** Resource name of the key or service, e.g. `projects/default/apiKeys/k1` or `services/inference`. */
  readonly principal: string;
  readonly role: Role;
}

/** Metadata keys in which an identity travels between services. */
export const IDENTITY_METADATA = {
  token: "servable-token",
  project: "servable-project",
  principal: "servable-principal",
  role: "servable-role",
} as const;

/** The identity of one of Servable's own services: it may act in every project. */
export function serviceIdentity(service: string): Identity {
  return { project: "default", principal: `services/${service}`, role: "admin" };
}

/** The metadata that carries an identity, token excluded. */
export function identityToMetadata(identity: Identity): Record<string, string> {
  return {
    [IDENTITY_METADATA.project]: identity.project,
    [IDENTITY_METADATA.principal]: identity.principal,
    [IDENTITY_METADATA.role]: identity.role,
  };
}

/**
 * The identity out of a call's metadata.
 *
 * @throws StatusError `INTERNAL_TOKEN_INVALID` when the token is missing or another installation's, or no identity comes with it
 */
export function identityFromMetadata(get: (key: string) => string | undefined, token: string): Identity {
  const sent = get(IDENTITY_METADATA.token) ?? "";
  if (!sameSecret(sent, token)) {
    throw new StatusError("INTERNAL_TOKEN_INVALID", "this service takes calls only from its own installation: call the gateway instead");
  }
  const project = get(IDENTITY_METADATA.project);
  const principal = get(IDENTITY_METADATA.principal);
  const role = ROLES.find((word) => word === get(IDENTITY_METADATA.role));
  if (project === undefined || principal === undefined || role === undefined) {
    throw new StatusError("INTERNAL_TOKEN_INVALID", "the call carries no caller identity: call the gateway instead");
  }
  return { project, principal, role };
}

/** Compares two secrets in a time that does not depend on where they differ; only their lengths may show. */
export function sameSecret(a: string, b: string): boolean {
  const [first, second] = [Buffer.from(a), Buffer.from(b)];
  return first.length === second.length && timingSafeEqual(first, second);
}

/** @throws StatusError `PERMISSION_DENIED` when the caller's role is below `role` */
export function requireRole(identity: Identity | undefined, role: Role): asserts identity is Identity {
  if (identity === undefined || ROLES.indexOf(identity.role) < ROLES.indexOf(role)) {
    throw new StatusError("PERMISSION_DENIED", `this call needs the role ${role}: use a key that has it`);
  }
}

/** @throws StatusError `PERMISSION_DENIED` when the caller belongs to another project and is no admin */
export function requireProject(identity: Identity | undefined, project: string): asserts identity is Identity {
  if (identity === undefined || (identity.role !== "admin" && identity.project !== project)) {
    throw new StatusError("PERMISSION_DENIED", `projects/${project} is not the key's project, or it might not exist`);
  }
}

/** Checks that the caller may use resources of the project in a name ("projects/{project}/…"); malformed names fail later, with their form. */
export function authorize(identity: Identity | undefined, role: Role, name: string): Identity {
  requireRole(identity, role);
  const project = /^projects\/([^/]+)/.exec(name)?.[1];
  if (project !== undefined) requireProject(identity, project);
  return identity;
}
