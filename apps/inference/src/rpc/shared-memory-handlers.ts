import { requireRole } from "@servable/auth";
import type { GRPCInferenceService } from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { ServiceImplementation } from "@servable/grpc";
import type { SharedMemory } from "../domain/requests/shared-memory.ts";

type Handlers = Pick<
  ServiceImplementation<typeof GRPCInferenceService>,
  "systemSharedMemoryStatus" | "systemSharedMemoryRegister" | "systemSharedMemoryUnregister" | "cudaSharedMemoryStatus" | "cudaSharedMemoryRegister" | "cudaSharedMemoryUnregister"
>;

/** The shared memory extensions: system regions, and the answers of a server without GPUs. */
export function sharedMemoryHandlers(sharedMemory: SharedMemory): Handlers {
  return {
    systemSharedMemoryStatus({ name }, { identity }) {
      requireRole(identity, "user");
      const regions = sharedMemory.status(identity.project, name).map(({ name: region, key, offset, byteSize }) => [region, { name: region, key, offset: BigInt(offset), byteSize: BigInt(byteSize) }] as const);
      return { regions: Object.fromEntries(regions) };
    },
    systemSharedMemoryRegister({ name, key, offset, byteSize }, { identity }) {
      requireRole(identity, "user");
      sharedMemory.register(identity.project, { name, key, offset: Number(offset), byteSize: Number(byteSize) });
      return {};
    },
    systemSharedMemoryUnregister({ name }, { identity }) {
      requireRole(identity, "user");
      sharedMemory.unregister(identity.project, name);
      return {};
    },
    cudaSharedMemoryStatus({ name }, { identity }) {
      requireRole(identity, "user");
      if (name !== "") throw new StatusError("SHARED_MEMORY_UNKNOWN", `Unable to find cuda shared memory region: '${name}'`, { metadata: { region: name } });
      return { regions: {} };
    },
    cudaSharedMemoryRegister({ name }, { identity }) {
      requireRole(identity, "user");
      throw new StatusError("FIELD_INVALID", `failed to register shared memory region '${name}': invalid args: this server has no CUDA devices, register system shared memory instead`, { metadata: { region: name } });
    },
    cudaSharedMemoryUnregister(_request, { identity }) {
      requireRole(identity, "user");
      return {};
    },
  };
}
