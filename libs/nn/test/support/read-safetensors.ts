/** The F32 tensors of a safetensors file by name. Source: the format's README, huggingface/safetensors. */
export function readSafetensors(bytes: Buffer): Map<string, Float32Array> {
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)) as Record<string, { dtype: string; data_offsets: [number, number] }>;
  const tensors = Object.entries(header).filter(([, { dtype }]) => dtype === "F32");
  return new Map(tensors.map(([name, { data_offsets: [start, end] }]) => [name, new Float32Array(Uint8Array.from(bytes.subarray(8 + headerBytes + start, 8 + headerBytes + end)).buffer)]));
}
