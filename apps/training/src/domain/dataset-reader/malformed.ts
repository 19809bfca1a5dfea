import { StatusError } from "@servable/errors";

/** The complaint about a place of a file. */
export function malformedAt(unit: "line" | "row", place: number, what: string): StatusError {
  return new StatusError("DATASET_MALFORMED", `${unit} ${place}: ${what}; nothing was kept`, { metadata: { [unit]: String(place) } });
}

/** The complaint about a file of a role. */
export function malformed(role: string, what: string): StatusError {
  return new StatusError("DATASET_MALFORMED", `${role}: ${what}; nothing was kept`, { metadata: { role } });
}

/** A data set above a limit. */
export function tooLarge(what: string, setting?: string): StatusError {
  return new StatusError("DATASET_TOO_LARGE", setting === undefined ? what : `${what} (${setting})`, setting === undefined ? {} : { metadata: { limit: setting } });
}

/** A text as an error may show it. */
export function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, " ");
  return `"${line.length > 40 ? `${line.slice(0, 40)}…` : line}"`;
}
