// The REST twin of a task takes its input in three forms: JSON with the file in base64, a form with a file, or the file
// itself with the rest in the query. All three become the same fields.

import { StatusError } from "@servable/errors";
import type { FastifyRequest } from "fastify";
import { objectOf } from "../domain/infer-json.ts";
import { parseLossless } from "../domain/json-text.ts";
import { bodyOf } from "./http-caller.ts";

/** Fields of a task's request, from whichever form. */
export interface TaskFields {
  text(key: string): string | undefined;
  whole(key: string): number | undefined;
  number(key: string): number | undefined;
  /** A list of texts, or one text. */
  texts(key: string): readonly string[] | undefined;
  /** The bytes of a file. */
  file(key: string): Uint8Array<ArrayBuffer>;
}

/** Fields of a form; the files among them are few. */
const FORM_FIELDS_MAX = 32;
/** What tools call JSON when nobody tells them; a text that begins with a brace goes into JSON itself. */
const JSON_TYPES = new Set(["application/json", "application/x-www-form-urlencoded", "", "text/json", "text/plain"]);

/** Reads the request's fields. `fileKey` is what a bare body holds; `known` are all fields that the task has. @throws StatusError naming the field */
export async function taskFieldsOf(request: FastifyRequest, fileKey: string, known: readonly string[]): Promise<TaskFields> {
  const body = bodyOf(request);
  const type = request.bodyType.split(";")[0]?.trim().toLowerCase() ?? "";
  const query = Object.fromEntries(Object.entries(request.query as Record<string, unknown>).filter(([, value]) => typeof value === "string"));
  const values: Record<string, unknown> = { ...query, ...(await bodyFields()) };
  const stray = Object.keys(values).find((key) => !known.includes(key));
  if (stray !== undefined) throw invalid(stray, `is no field of this task: it takes ${known.join(", ")}`);
  return fieldsOf(values);

  async function bodyFields(): Promise<Record<string, unknown>> {
    if (type === "multipart/form-data") return formFields(body, request.bodyType, fileKey);
    // Tools send JSON under any type or none; a picture begins otherwise.
    if (type === "application/json" || (JSON_TYPES.has(type) && startsLikeJson(body))) return { ...objectOf(parseLossless(body), "the body") };
    return body.length === 0 ? {} : { [fileKey]: type.startsWith("text/") ? Buffer.from(body).toString("utf8") : body };
  }
}

function startsLikeJson(body: Uint8Array): boolean {
  return /^\s*\{/.test(Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, 64)).toString("latin1"));
}

async function formFields(body: Uint8Array, contentType: string, fileKey: string): Promise<Record<string, unknown>> {
  let form: FormData;
  try {
    form = await new Response(Buffer.from(body), { headers: { "content-type": contentType } }).formData();
  } catch (error) {
    throw new StatusError("MESSAGE_MALFORMED", "the form cannot be read: send multipart/form-data with a boundary and closed parts", { cause: error });
  }
  const entries = [...form];
  if (entries.length > FORM_FIELDS_MAX) throw new StatusError("MESSAGE_MALFORMED", `the form has ${entries.length} parts, at most ${FORM_FIELDS_MAX} are taken`);
  const fields: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    const content = typeof value === "string" ? value : new Uint8Array(await value.arrayBuffer());
    // `curl -F file=@picture.jpg` is what people write.
    const name = key === "file" && typeof content !== "string" ? fileKey : key;
    const before = fields[name];
    fields[name] = before === undefined ? content : [...(Array.isArray(before) ? (before as unknown[]) : [before]), content];
  }
  return fields;
}

function fieldsOf(values: Readonly<Record<string, unknown>>): TaskFields {
  const number = (key: string): number | undefined => {
    const value = values[key];
    if (value === undefined || value === null) return undefined;
    // Forms and queries know texts only.
    const parsed = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof parsed === "number" && Number.isFinite(parsed)) return parsed;
    throw invalid(key, "must be a number");
  };
  return {
    number,
    whole(key) {
      const value = number(key);
      if (value === undefined || (Number.isInteger(value) && Math.abs(value) < 2 ** 31)) return value;
      throw invalid(key, "must be a whole number");
    },
    text(key) {
      const value = values[key];
      if (value === undefined || value === null) return undefined;
      if (typeof value === "string") return value;
      if (typeof value === "number" && key === "version") return String(value);
      throw invalid(key, "must be a text");
    },
    texts(key) {
      const value = values[key];
      if (value === undefined || value === null) return undefined;
      const list: readonly unknown[] = Array.isArray(value) ? value : [value];
      const odd = list.findIndex((item) => typeof item !== "string");
      if (odd === -1) return list as readonly string[];
      throw invalid(Array.isArray(value) ? `${key}[${odd}]` : key, "must be a text");
    },
    file(key) {
      const value = values[key];
      if (value instanceof Uint8Array) return value as Uint8Array<ArrayBuffer>;
      if (typeof value === "string") return fromBase64(value, key);
      if (value === undefined || value === null) throw new StatusError("FIELD_REQUIRED", `${key} is missing: send the file as the body, as a part of a form, or in base64 as "${key}" of a JSON body`, { metadata: { field: key } });
      throw invalid(key, "must be a file, or its bytes in base64");
    },
  };
}

/** Base64 with or without a "data:" head. */
function fromBase64(text: string, key: string): Uint8Array<ArrayBuffer> {
  const comma = text.startsWith("data:") ? text.indexOf(",") : -1;
  const digits = text.slice(comma + 1).replaceAll(/\s/g, "");
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(digits)) throw invalid(key, "is no base64");
  return new Uint8Array(Buffer.from(digits, "base64"));
}

function invalid(field: string, what: string): StatusError {
  return new StatusError("FIELD_INVALID", `${field} ${what}`, { metadata: { field } });
}
