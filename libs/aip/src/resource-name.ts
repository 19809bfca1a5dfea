import { StatusError } from "@servable/errors";

// Resource names by AIP-122: "projects/p/models/m". One pattern language both ways, so that what is written can be read.

type Ids<P extends string> = P extends `${string}{${infer Id}}${infer Rest}` ? { readonly [K in Id]: string } & Ids<Rest> : unknown;

/**
 * The ids in a resource name.
 *
 * @throws StatusError `RESOURCE_NAME_INVALID` with the form wanted
 * @example parseName("projects/{project}/models/{model}", "projects/p/models/m"); // { project: "p", model: "m" }
 */
export function parseName<const P extends string>(pattern: P, name: string, field = "name"): Ids<P> {
  const keys = [...pattern.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "");
  const match = new RegExp(`^${pattern.replace(/\{\w+\}/g, "([^/]+)")}$`).exec(name);
  if (match === null) {
    throw new StatusError("RESOURCE_NAME_INVALID", `${field} must have the form ${pattern}, not "${name}"`, { metadata: { field, pattern } });
  }
  return Object.fromEntries(keys.map((key, index) => [key, match[index + 1]])) as Ids<P>;
}

/** The resource name with these ids. */
export function formatName<const P extends string>(pattern: P, ids: Ids<P>): string {
  return pattern.replace(/\{(\w+)\}/g, (_, key: string) => (ids as Record<string, string>)[key] ?? "");
}

const ID = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Checks an id chosen by a caller. @throws StatusError `FIELD_INVALID` naming the field */
export function checkId(field: string, id: string): string {
  if (!ID.test(id)) {
    throw new StatusError("FIELD_INVALID", `${field}="${id}" must be 1 to 63 of a-z, 0-9, "-" and "_", beginning with a letter or digit`, { metadata: { field } });
  }
  return id;
}

const SERVED_NAME = /^[A-Za-z0-9][A-Za-z0-9._,-]{0,127}$/;

/**
 * Checks an id that inference callers say as a model's name. Model repositories of other servers know no rule but that of
 * folders, so capitals, dots, commas and long names are taken too.
 *
 * @throws StatusError `FIELD_INVALID` naming the field
 */
export function checkServedName(field: string, name: string): string {
  if (!SERVED_NAME.test(name)) {
    throw new StatusError("FIELD_INVALID", `${field}="${name.slice(0, 200)}" must be 1 to 128 of letters, digits, ".", "_", "," and "-", beginning with a letter or digit`, { metadata: { field } });
  }
  return name;
}

/** Checks the length of a text. @throws StatusError `FIELD_INVALID` naming the field */
export function checkText(field: string, text: string, charactersMax: number): string {
  if (text.length > charactersMax) throw new StatusError("FIELD_INVALID", `${field} has ${text.length} characters, at most ${charactersMax} are allowed`, { metadata: { field } });
  return text;
}

/** Checks labels: at most 64, keys up to 63 characters, values up to 255. @throws StatusError `FIELD_INVALID` */
export function checkLabels(field: string, labels: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(labels);
  if (entries.length > 64) throw new StatusError("FIELD_INVALID", `${field} has ${entries.length} entries, at most 64 are allowed`, { metadata: { field } });
  for (const [key, value] of entries) {
    checkText(`${field}.${key.slice(0, 20)} (key)`, key, 63);
    checkText(`${field}.${key}`, value, 255);
  }
  return { ...labels };
}
