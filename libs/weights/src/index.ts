export { encodeSafetensors, openSafetensors, readSafetensors, writeSafetensors, type ByteSource, type SafetensorsFile, type Weights } from "./safetensors.ts";
export { HEADER_BYTES_MAX, type SafetensorsHeader, type TensorEntry } from "./safetensors-header.ts";
