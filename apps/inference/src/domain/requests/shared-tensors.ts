// Requests name parts of shared memory by three parameters of a tensor; these take the place of its data.

import { StatusError } from "@servable/errors";
import type { ParameterValue } from "../executors/executor.ts";
import type { SharedMemoryPart } from "./shared-memory.ts";

const REGION = "shared_memory_region";
const OFFSET = "shared_memory_offset";
const BYTE_SIZE = "shared_memory_byte_size";

/**
 * The part of shared memory that an input's or output's parameters name; undefined when they name none.
 *
 * @throws StatusError `FIELD_INVALID` when region and size do not come together or have the wrong type
 */
export function sharedMemoryPartOf(parameters: { get(key: string): ParameterValue | undefined }, where: string): SharedMemoryPart | undefined {
  const region = parameters.get(REGION);
  const byteSize = parameters.get(BYTE_SIZE);
  if (region === undefined && byteSize === undefined) {
    if (parameters.get(OFFSET) === undefined) return undefined;
    throw new StatusError("FIELD_INVALID", `${where}: '${OFFSET}' needs '${REGION}' and '${BYTE_SIZE}' beside it`, { metadata: { field: OFFSET } });
  }
  if (region === undefined) throw new StatusError("FIELD_INVALID", `${where}: '${BYTE_SIZE}' must be specified along with '${REGION}'`, { metadata: { field: REGION } });
  if (byteSize === undefined) throw new StatusError("FIELD_INVALID", `${where}: '${REGION}' must be specified along with '${BYTE_SIZE}'`, { metadata: { field: BYTE_SIZE } });
  if (typeof region !== "string") throw wrongType(where, REGION, "string_param");
  return { region, offset: sizeOf(parameters.get(OFFSET) ?? 0n, where, OFFSET), byteSize: sizeOf(byteSize, where, BYTE_SIZE) };
}

/** The parameters of an output that was written to shared memory. */
export function sharedOutputParameters({ region, byteSize }: SharedMemoryPart): Map<string, ParameterValue> {
  return new Map<string, ParameterValue>([
    [REGION, region],
    [BYTE_SIZE, BigInt(byteSize)],
  ]);
}

function sizeOf(value: ParameterValue, where: string, key: string): number {
  if (typeof value !== "bigint") throw wrongType(where, key, "int64_param");
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new StatusError("FIELD_INVALID", `${where}: '${key}' is ${value}: it counts bytes, from 0 on`, { metadata: { field: key } });
  return Number(value);
}

function wrongType(where: string, key: string, wanted: string): StatusError {
  return new StatusError("FIELD_INVALID", `${where}: invalid value type for '${key}' parameter, expected ${wanted}.`, { metadata: { field: key } });
}
