import { requireProject, requireRole, type Identity, type Role } from "@servable/auth";

/** Checks that the caller may use resources of the project in a name ("projects/{project}/…"); malformed names fail later, with their form. */
export function authorize(identity: Identity | undefined, role: Role, name: string): Identity {
  requireRole(identity, role);
  const project = /^projects\/([^/]+)/.exec(name)?.[1];
  if (project !== undefined) requireProject(identity, project);
  return identity;
}
