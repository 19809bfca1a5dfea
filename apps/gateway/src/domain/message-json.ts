import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { ScalarType, type DescField, type DescEnum } from "@bufbuild/protobuf";
import { shortestSingle } from "./json-text.ts";

/**
 * A message as the JSON that Triton writes: protocol names, enums by name, 64-bit integers as plain digits, and empty
 * values written out. (Protobuf's own JSON mapping puts 64-bit integers into strings, which stock REST clients refuse.)
 */
export function messageToJson<D extends DescMessage>(schema: D, message: MessageShape<D>): string {
  return objectOf(reflect(schema, message));
}

function objectOf(message: ReflectMessage): string {
  const entries: string[] = [];
  for (const field of message.fields) {
    const mayBeAbsent = field.oneof !== undefined || field.fieldKind === "message";
    if (mayBeAbsent && !message.isSet(field)) continue;
    entries.push(`${JSON.stringify(field.name)}:${fieldOf(message, field)}`);
  }
  return `{${entries.join(",")}}`;
}

function fieldOf(message: ReflectMessage, field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(message.get(field), field.scalar);
    case "enum":
      return enumOf(message.get(field), field.enum);
    case "message":
      return objectOf(message.get(field));
    case "list":
      return `[${Array.from(message.get(field), (item) => elementOf(item, field)).join(",")}]`;
    case "map":
      return `{${Array.from(message.get(field), ([key, value]) => `${JSON.stringify(String(key))}:${elementOf(value, field)}`).join(",")}}`;
  }
}

function elementOf(value: unknown, field: DescField & { fieldKind: "list" | "map" }): string {
  const kind = field.fieldKind === "list" ? field.listKind : field.mapKind;
  if (kind === "message") return objectOf(value as ReflectMessage);
  if (kind === "enum" && field.enum !== undefined) return enumOf(value, field.enum);
  return scalarOf(value, field.scalar);
}

function scalarOf(value: unknown, scalar: ScalarType | undefined): string {
  if (typeof value === "bigint") return value.toString();
  if (scalar === ScalarType.FLOAT && Number.isFinite(value)) return shortestSingle(value as number);
  if (scalar === ScalarType.BYTES) return JSON.stringify(Buffer.from(value as Uint8Array).toString("base64"));
  return JSON.stringify(value);
}

function enumOf(value: unknown, { value: byNumber }: DescEnum): string {
  return JSON.stringify(byNumber[value as number]?.name ?? value);
}
