import { StatusError } from "@servable/errors";

/** Page size when the caller does not say. */
export const PAGE_SIZE_DEFAULT = 50;
/** Largest page. */
export const PAGE_SIZE_MAX = 1000;

/** The page size to use (AIP-158): 0 = default, larger than the maximum = maximum. @throws StatusError `FIELD_INVALID` when negative */
export function pageSizeOf(pageSize: number): number {
  if (pageSize < 0) throw new StatusError("FIELD_INVALID", `page_size must not be negative, got ${pageSize}`, { metadata: { field: "page_size" } });
  return pageSize === 0 ? PAGE_SIZE_DEFAULT : Math.min(pageSize, PAGE_SIZE_MAX);
}

/** An opaque token that remembers the last key of a page and the list it belongs to. */
export function encodePageToken(list: string, lastKey: string | number): string {
  return Buffer.from(JSON.stringify([list, lastKey])).toString("base64url");
}

/** The last key in a token, undefined for the first page. @throws StatusError `PAGE_TOKEN_INVALID` for another list's or a made-up token */
export function decodePageToken(list: string, token: string): string | number | undefined {
  if (token === "") return undefined;
  try {
    const [of, lastKey] = JSON.parse(Buffer.from(token, "base64url").toString()) as [string, string | number];
    if (of === list && (typeof lastKey === "string" || typeof lastKey === "number")) return lastKey;
  } catch {
    // Not JSON: as wrong as another list's token.
  }
  throw new StatusError("PAGE_TOKEN_INVALID", "page_token does not belong to this list: use next_page_token of the page before", { metadata: { field: "page_token" } });
}

/** A page cut from `pageSize + 1` rows, with the token of the next one. */
export function pageOf<T>(rows: readonly T[], pageSize: number, list: string, keyOf: (row: T) => string | number): { rows: T[]; nextPageToken: string } {
  const page = rows.slice(0, pageSize);
  const last = page.at(-1);
  return { rows: page, nextPageToken: rows.length > pageSize && last !== undefined ? encodePageToken(list, keyOf(last)) : "" };
}
