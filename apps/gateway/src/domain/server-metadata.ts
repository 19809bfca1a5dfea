// What the Open Inference Protocol says of the server itself.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ServerMetadataRequestSchema, ServerMetadataResponseSchema, type ServerMetadataResponse } from "@servable/contracts/open-inference/grpc_service";
import type { Caller } from "./caller.ts";
import type { Inference } from "./inference.ts";

const VERSION = "0.1.0";
/** What the gateway itself adds to the protocol. */
const OWN_EXTENSIONS = ["binary_tensor_data", "model_repository"];

/** What this gateway is set to. */
export interface ServerFacts {
  readonly name: string;
  /** Whether callers may register shared memory. */
  readonly sharedMemory: boolean;
}

/** Name, version and extensions: the gateway's own and those of the replicas behind it. */
export async function serverMetadata({ name, sharedMemory }: ServerFacts, inference: Inference, caller: Caller): Promise<ServerMetadataResponse> {
  const extensions = new Set(OWN_EXTENSIONS);
  if (sharedMemory) extensions.add("system_shared_memory");
  try {
    const bytes = await inference.askAny("ServerMetadata", toBinary(ServerMetadataRequestSchema, create(ServerMetadataRequestSchema)), caller);
    for (const extension of fromBinary(ServerMetadataResponseSchema, bytes).extensions) extensions.add(extension);
  } catch {
    // Without a replica the gateway can still say who it is.
  }
  return create(ServerMetadataResponseSchema, { name, version: VERSION, extensions: [...extensions] });
}
