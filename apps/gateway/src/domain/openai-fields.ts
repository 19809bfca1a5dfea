// Reading bodies of OpenAI's API: every refusal names the parameter as that API calls it.

import { StatusError } from "@servable/errors";

/** A JSON object as it came. */
export type Body = Readonly<Record<string, unknown>>;

/** The error of a field. */
export function refuse(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}

/** A text; undefined and null = "". @throws StatusError `FIELD_INVALID` */
export function textOf(body: Body, field: string): string {
  const value = body[field] ?? "";
  if (typeof value !== "string") throw refuse(field, "must be a text");
  return value;
}

/** A text that must be there. @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` */
export function requiredText(body: Body, field: string): string {
  const value = textOf(body, field);
  if (value === "") throw new StatusError("FIELD_REQUIRED", `you must provide a ${field} parameter`, { metadata: { field } });
  return value;
}

/** A number in a range; undefined and null = undefined. @throws StatusError `FIELD_INVALID` */
export function numberOf(body: Body, field: string, { min, max, whole = false }: { readonly min: number; readonly max: number; readonly whole?: boolean }): number | undefined {
  const value = body[field];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) throw refuse(field, `must be a ${whole ? "whole " : ""}number from ${min} to ${max}`);
  return value;
}

/** A yes or no; undefined and null = false. @throws StatusError `FIELD_INVALID` */
export function flagOf(body: Body, field: string): boolean {
  const value = body[field] ?? false;
  if (typeof value !== "boolean") throw refuse(field, "must be true or false");
  return value;
}

/** An object; undefined and null = {}. @throws StatusError `FIELD_INVALID` */
export function objectIn(body: Body, field: string): Body {
  const value = body[field] ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw refuse(field, "must be an object");
  return value as Body;
}

/** A map of texts. @throws StatusError `FIELD_INVALID` */
export function textsByKey(body: Body, field: string): Record<string, string> {
  const value = objectIn(body, field);
  const odd = Object.entries(value).find(([, text]) => typeof text !== "string");
  if (odd !== undefined) throw refuse(`${field}.${odd[0]}`, "must be a text");
  return value as Record<string, string>;
}
