import { StatusError } from "@servable/errors";

/** Texts in one call: as many as OpenAI's API takes. */
export const TEXTS_MAX = 2_048;

/** How many labels to answer. @throws StatusError `FIELD_INVALID` */
export function topKOf(asked: number, usual: number): number {
  if (asked < 0) throw new StatusError("FIELD_INVALID", `top_k is ${asked}: it must be 1 or more, or 0 for as many as the model's manifest says`, { metadata: { field: "top_k" } });
  return asked === 0 ? usual : asked;
}

/** @throws StatusError `FIELD_REQUIRED`, `FIELD_INVALID` naming the field */
export function checkTextCount(count: number, field: string): void {
  if (count === 0) throw new StatusError("FIELD_REQUIRED", `${field} is empty: send at least one text`, { metadata: { field } });
  if (count > TEXTS_MAX) throw new StatusError("FIELD_INVALID", `${field} has ${count} texts, at most ${TEXTS_MAX} are taken: send them in several calls`, { metadata: { field } });
}
