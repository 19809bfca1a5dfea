import { StatusError } from "@servable/errors";

/** The error of a field that a request must have. */
export function required(field: string): StatusError {
  return new StatusError("FIELD_REQUIRED", `${field} is required`, { metadata: { field } });
}
