import { StatusError } from "@servable/errors";

/** An etag from a counter that grows with each write. */
export function etagOf(revision: number): string {
  return `"${revision}"`;
}

/** Compares the caller's etag with the stored one; an empty one is not compared. @throws StatusError `ETAG_MISMATCH` */
export function checkEtag(sent: string, stored: string): void {
  if (sent !== "" && sent !== stored) {
    throw new StatusError("ETAG_MISMATCH", `the resource changed meanwhile (etag is ${stored}, not ${sent}): read it again`, { metadata: { etag: stored } });
  }
}
