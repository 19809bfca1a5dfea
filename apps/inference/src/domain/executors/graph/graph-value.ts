import { StatusError } from "@servable/errors";

/** An error that says where in the graph's text something is wrong. */
export function refuseGraph(at: string, why: string, cause?: unknown): StatusError {
  const field = at === "" ? "servable.graph" : `servable.graph.${at}`;
  return new StatusError("FIELD_INVALID", `${field} ${why}`, { metadata: { field }, ...(cause === undefined ? {} : { cause }) });
}

/** An object, with no other keys than these where they are given. @throws StatusError `FIELD_INVALID` */
export function objectOf(value: unknown, at: string, keys?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuseGraph(at, `must be an object${keys === undefined ? "" : ` with ${keys.join(", ")}`}`);
  const unknown = keys === undefined ? undefined : Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw refuseGraph(at, `has the unknown key "${unknown}": it takes ${(keys ?? []).join(", ")}`);
  return value as Readonly<Record<string, unknown>>;
}

/** A list with something in it. @throws StatusError `FIELD_INVALID` */
export function listOf(value: unknown, at: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw refuseGraph(at, "must be a list with at least one entry");
  return value;
}

/** A text that is not empty. @throws StatusError `FIELD_INVALID` */
export function textOf(value: unknown, at: string): string {
  if (typeof value !== "string" || value === "") throw refuseGraph(at, "must be a text");
  return value;
}

/** A number. @throws StatusError `FIELD_INVALID` */
export function numberOf(value: unknown, at: string): number {
  if (typeof value !== "number") throw refuseGraph(at, "must be a number");
  return value;
}

/** The place of a key below a place. */
export function childOf(at: string, key: string): string {
  return at === "" ? key : `${at}.${key}`;
}
