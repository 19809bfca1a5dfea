export { findingsOf, type Finding } from "./findings.ts";
export { type Verdict } from "./verdict.ts";
export { isTritonRepository, readTritonRepository } from "./read-repository.ts";
export { servingConfigOf } from "./serving-config.ts";
export { parseTextProto, type ParseTextProtoOptions } from "./text-proto/parse-text-proto.ts";
export { printTextProto } from "./text-proto/print-text-proto.ts";
export type { ModelKind, TritonModel, TritonRepository, TritonVersion, VersionFile } from "./triton-model.ts";
