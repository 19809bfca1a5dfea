export { parseTextProto, type ParseTextProtoOptions } from "./text-proto/parse-text-proto.ts";
export { printTextProto } from "./text-proto/print-text-proto.ts";
