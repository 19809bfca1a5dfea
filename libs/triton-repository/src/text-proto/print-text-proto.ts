import { ScalarType, type DescField, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";

/**
 * Writes a message in protobuf's text format, one field a line, unset ones left out.
 *
 * @example printTextProto(ModelConfigSchema, config) // 'name: "m"\nmax_batch_size: 8\n'
 */
export function printTextProto<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return printFields(reflect(schema, message), "");
}

function printFields(message: ReflectMessage, indent: string): string {
  return message.sortedFields.filter((field) => message.isSet(field)).map((field) => printField(message, field, indent)).join("");
}

function printField(message: ReflectMessage, field: DescField, indent: string): string {
  switch (field.fieldKind) {
    case "scalar":
      return `${indent}${field.name}: ${scalarText(field.scalar, message.get(field))}\n`;
    case "enum":
      return `${indent}${field.name}: ${enumText(field.enum, message.get(field))}\n`;
    case "message":
      return block(indent, field.name, (inner) => printFields(message.get(field), inner));
    case "list":
      return [...message.get(field)]
        .map((item) => (field.listKind === "message" ? block(indent, field.name, (inner) => printFields(item as ReflectMessage, inner)) : `${indent}${field.name}: ${field.listKind === "enum" ? enumText(field.enum, item as number) : scalarText(field.scalar, item)}\n`))
        .join("");
    case "map":
      return [...message.get(field)]
        .map(([key, value]) =>
          block(indent, field.name, (inner) => {
            const keyLine = `${inner}key: ${scalarText(field.mapKey, key)}\n`;
            if (field.mapKind === "message") return keyLine + block(inner, "value", (deeper) => printFields(value as ReflectMessage, deeper));
            return `${keyLine}${inner}value: ${field.mapKind === "enum" ? enumText(field.enum, value as number) : scalarText(field.scalar, value)}\n`;
          }),
        )
        .join("");
  }
}

function block(indent: string, name: string, body: (indent: string) => string): string {
  return `${indent}${name} {\n${body(`${indent}  `)}${indent}}\n`;
}

function enumText(desc: { readonly value: Readonly<Record<number, { readonly name: string }>> }, number: number): string {
  return desc.value[number]?.name ?? String(number);
}

function scalarText(type: ScalarType, value: unknown): string {
  if (type === ScalarType.STRING) return quoted(Buffer.from(value as string), true);
  if (type === ScalarType.BYTES) return quoted(value as Uint8Array, false);
  if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0.0" : String(value);
}

/** Text stays readable; what is no printable ASCII is written as bytes, except letters of other scripts in strings. */
function quoted(bytes: Uint8Array, isText: boolean): string {
  let result = "";
  for (const byte of bytes) {
    if (byte === 34 || byte === 92) result += `\\${String.fromCharCode(byte)}`;
    else if (byte === 10) result += "\\n";
    else if ((byte >= 32 && byte < 127) || (isText && byte >= 128)) result += String.fromCharCode(byte);
    else result += `\\${byte.toString(8).padStart(3, "0")}`;
  }
  return `"${isText ? Buffer.from(result, "latin1").toString("utf8") : result}"`;
}
