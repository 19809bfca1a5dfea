import { StatusError } from "@servable/errors";
import { isUniqueViolation } from "./error-mapping.ts";

/** Runs an insert; a row that exists already is the caller's `ALREADY_EXISTS`, named `what`. */
export async function insertNew(what: string, insert: Promise<unknown>): Promise<void> {
  try {
    await insert;
  } catch (error) {
    if (isUniqueViolation(error)) throw new StatusError("ALREADY_EXISTS", `${what} exists already: choose another id or use it as it is`, { metadata: { resource: what }, cause: error });
    throw error;
  }
}
