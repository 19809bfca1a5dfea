// Regions of shared memory are known to every replica, so that a call may go to any. The gateway keeps what was registered
// through it: a replica that came later, or was started again, is told of a region when it first asks for it.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  SystemSharedMemoryRegisterRequestSchema,
  SystemSharedMemoryStatusResponseSchema,
  SystemSharedMemoryUnregisterRequestSchema,
  type SystemSharedMemoryStatusResponse,
} from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import { firstFailure, type Broadcast } from "./broadcast.ts";
import type { Caller } from "./caller.ts";
import { decodeMessage } from "./decode-message.ts";
import { publicError, type ReplicaClient } from "./inference.ts";

const REGISTER = "SystemSharedMemoryRegister";
const UNREGISTER = "SystemSharedMemoryUnregister";

/** Regions over all replicas. Requests and answers are encoded messages of the protocol. */
export interface SharedMemoryRegions {
  /** Registers with every replica or with none. */
  register(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  /** Forgets one region, or all of the caller's project. */
  unregister(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
  status(request: Uint8Array, caller: Caller): Promise<Uint8Array>;
}

/** What is registered through this gateway: project → region → the request that registered it. */
export type RegisteredRegions = Map<string, Map<string, Uint8Array>>;

/** Regions kept in `registered`; where `allowed` is false none can be registered. */
export function createSharedMemoryRegions(broadcast: Broadcast, registered: RegisteredRegions, allowed: boolean): SharedMemoryRegions {
  const regionsOf = (project: string): Map<string, Uint8Array> => {
    const regions = registered.get(project) ?? new Map<string, Uint8Array>();
    registered.set(project, regions);
    return regions;
  };
  const checkAllowed = (): void => {
    if (!allowed) throw new StatusError("UNIMPLEMENTED", "Client shared memory is disabled: set SERVABLE_CLIENT_SHARED_MEMORY=true, which is safe only where all callers are on this machine and trusted, or send tensors inside the messages");
  };
  return {
    async register(request, caller) {
      checkAllowed();
      const { name } = decodeMessage(SystemSharedMemoryRegisterRequestSchema, request);
      const answers = await broadcast.tell(REGISTER, request, caller);
      const failure = firstFailure(answers);
      if (failure !== undefined) {
        const done = answers.filter(({ result }) => result.status === "fulfilled").map(({ address }) => address);
        if (done.length > 0) await broadcast.tell(UNREGISTER, toBinary(SystemSharedMemoryUnregisterRequestSchema, create(SystemSharedMemoryUnregisterRequestSchema, { name })), caller, done);
        throw publicError(failure);
      }
      regionsOf(caller.identity.project).set(name, request);
      return new Uint8Array();
    },
    async unregister(request, caller) {
      checkAllowed();
      const { name } = decodeMessage(SystemSharedMemoryUnregisterRequestSchema, request);
      const regions = regionsOf(caller.identity.project);
      if (name === "") regions.clear();
      else regions.delete(name);
      await broadcast.ask(UNREGISTER, request, caller);
      return new Uint8Array();
    },
    async status(request, caller) {
      const merged: SystemSharedMemoryStatusResponse = create(SystemSharedMemoryStatusResponseSchema);
      for (const bytes of await broadcast.ask("SystemSharedMemoryStatus", request, caller)) Object.assign(merged.regions, fromBinary(SystemSharedMemoryStatusResponseSchema, bytes).regions);
      return toBinary(SystemSharedMemoryStatusResponseSchema, merged);
    },
  };
}

/** The same client, but a replica that does not know a registered region is told of it and asked again. */
export function withRegisteredRegions(client: ReplicaClient, registered: RegisteredRegions): ReplicaClient {
  const tell = async (address: string, request: Uint8Array, caller: Caller): Promise<void> => {
    await client.unary(address, REGISTER, request, caller).catch((error: unknown) => {
      if (!(error instanceof StatusError) || error.reason !== "ALREADY_EXISTS") throw error;
    });
  };
  return {
    async unary(address, method, request, caller) {
      // One call may use several regions that the replica does not know.
      const told = new Set<string>();
      for (;;) {
        try {
          return await client.unary(address, method, request, caller);
        } catch (error) {
          const region = method === "ModelInfer" && error instanceof StatusError && error.reason === "SHARED_MEMORY_UNKNOWN" ? (error.metadata["region"] ?? "") : "";
          const known = told.has(region) ? undefined : registered.get(caller.identity.project)?.get(region);
          if (known === undefined) throw error;
          told.add(region);
          await tell(address, known, caller);
        }
      }
    },
    async *stream(address, method, requests, caller) {
      // Errors of a stream belong to single messages, which are gone by then: so the replica is told beforehand.
      for (const request of registered.get(caller.identity.project)?.values() ?? []) await tell(address, request, caller);
      yield* client.stream(address, method, requests, caller);
    },
  };
}
