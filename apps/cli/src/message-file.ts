// Messages of the contracts as people write them: YAML or JSON, fields as in the contract or in camelCase, words of enums
// without their prefix and in either case.

import { readFile } from "node:fs/promises";
import { fromJson, type DescField, type DescMessage, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { StatusError } from "@servable/errors";
import { parse } from "yaml";

/** Files are written by people; a larger one is another file. */
const FILE_BYTES_MAX = 1_000_000;

/** Reads YAML or JSON. @throws StatusError `FIELD_INVALID` naming file, line and column */
export async function readYaml(path: string): Promise<unknown> {
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    throw new StatusError("FIELD_INVALID", `${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`, { metadata: { field: "file" }, cause: error });
  });
  if (text.length > FILE_BYTES_MAX) throw new StatusError("FIELD_INVALID", `${path} has more than ${FILE_BYTES_MAX} bytes`, { metadata: { field: "file" } });
  try {
    return parse(text, { maxAliasCount: 100 }) as unknown;
  } catch (error) {
    throw new StatusError("FIELD_INVALID", `${path}: ${(error as Error).message.split("\n")[0] ?? ""}`, { metadata: { field: "file" }, cause: error });
  }
}

/** A message from what a file holds. @param where named in errors @throws StatusError `FIELD_INVALID` naming the field */
export function messageFromPlain<Desc extends DescMessage>(schema: Desc, plain: unknown, where: string): MessageShape<Desc> {
  try {
    return fromJson(schema, withEnumNames(schema, plain, where) as JsonValue);
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw new StatusError("FIELD_INVALID", `${where}: ${(error as Error).message}`, { metadata: { field: where }, cause: error });
  }
}

function withEnumNames(desc: DescMessage, plain: unknown, where: string): unknown {
  if (plain === null || typeof plain !== "object" || Array.isArray(plain) || desc.typeName.startsWith("google.protobuf.")) return plain;
  return Object.fromEntries(
    Object.entries(plain).map(([key, value]) => {
      const field = desc.fields.find(({ name, jsonName }) => key === name || key === jsonName);
      if (field === undefined) throw new StatusError("FIELD_INVALID", `${where}.${key} is no field: there are ${desc.fields.map(({ name }) => name).join(", ")}`, { metadata: { field: `${where}.${key}` } });
      return [key, fieldValue(field, value, `${where}.${key}`)];
    }),
  );
}

function fieldValue(field: DescField, value: unknown, where: string): unknown {
  if (field.message !== undefined) {
    const { message } = field;
    if (field.fieldKind === "list") return Array.isArray(value) ? value.map((each, index) => withEnumNames(message, each, `${where}[${index}]`)) : value;
    return field.fieldKind === "message" ? withEnumNames(message, value, where) : value;
  }
  if (field.enum === undefined || typeof value !== "string") return value;
  const prefix = field.enum.sharedPrefix ?? "";
  const word = value.toUpperCase();
  const known = field.enum.values.find(({ name }) => name === word || name === prefix.toUpperCase() + word);
  if (known === undefined) {
    const words = field.enum.values.slice(1).map(({ name }) => name.slice(prefix.length));
    throw new StatusError("FIELD_INVALID", `${where} is "${value.slice(0, 64)}", it can be ${words.join(", ")}`, { metadata: { field: where } });
  }
  return known.name;
}
