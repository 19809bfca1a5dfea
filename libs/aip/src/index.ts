export { checkEtag, etagOf } from "./etag.ts";
export { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, decodePageToken, encodePageToken, pageOf, pageSizeOf } from "./page.ts";
export { checkId, checkServedName, checkLabels, checkText, formatName, parseName } from "./resource-name.ts";
