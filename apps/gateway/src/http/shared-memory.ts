import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  CudaSharedMemoryRegisterRequestSchema,
  CudaSharedMemoryStatusRequestSchema,
  CudaSharedMemoryStatusResponseSchema,
  CudaSharedMemoryStatusResponse_RegionStatusSchema,
  CudaSharedMemoryUnregisterRequestSchema,
  SystemSharedMemoryRegisterRequestSchema,
  SystemSharedMemoryStatusRequestSchema,
  SystemSharedMemoryStatusResponseSchema,
  SystemSharedMemoryStatusResponse_RegionStatusSchema,
  SystemSharedMemoryUnregisterRequestSchema,
} from "@servable/contracts/open-inference/grpc_service";
import { StatusError } from "@servable/errors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { objectOf } from "../domain/infer-json.ts";
import { messageToJson } from "../domain/message-json.ts";
import type { ProtocolParts } from "../domain/protocol-parts.ts";
import { callerOfRequest, jsonBodyOf, route, sendJson } from "./http-caller.ts";

/** Registers the shared memory extensions: system regions, and CUDA regions of a server that has none. */
export function sharedMemoryRoutes(app: FastifyInstance, { inference, broadcast, regions }: Pick<ProtocolParts, "inference" | "broadcast" | "regions">): void {
  for (const prefix of ["/v2/systemsharedmemory", "/v2/systemsharedmemory/region/:region"]) {
    route(app, "GET", `${prefix}/status`, async (request, reply) => {
      const message = toBinary(SystemSharedMemoryStatusRequestSchema, create(SystemSharedMemoryStatusRequestSchema, { name: regionOf(request) }));
      const { regions: found } = fromBinary(SystemSharedMemoryStatusResponseSchema, await regions.status(message, callerOfRequest(request, reply)));
      return sendJson(reply, `[${Object.values(found).map((region) => messageToJson(SystemSharedMemoryStatusResponse_RegionStatusSchema, region)).join(",")}]`);
    });
    route(app, "POST", `${prefix}/unregister`, async (request, reply) => {
      await regions.unregister(toBinary(SystemSharedMemoryUnregisterRequestSchema, create(SystemSharedMemoryUnregisterRequestSchema, { name: regionOf(request) })), callerOfRequest(request, reply));
      return reply.send();
    });
  }
  route(app, "POST", "/v2/systemsharedmemory/region/:region/register", async (request, reply) => {
    const { key, offset, byte_size: byteSize } = jsonBodyOf(request);
    if (typeof key !== "string") throw new StatusError("FIELD_INVALID", "key must be a text, the name of the shared memory object", { metadata: { field: "key" } });
    const message = create(SystemSharedMemoryRegisterRequestSchema, { name: regionOf(request), key, offset: sizeOf(offset ?? 0, "offset"), byteSize: sizeOf(byteSize, "byte_size") });
    await regions.register(toBinary(SystemSharedMemoryRegisterRequestSchema, message), callerOfRequest(request, reply));
    return reply.send();
  });

  for (const prefix of ["/v2/cudasharedmemory", "/v2/cudasharedmemory/region/:region"]) {
    route(app, "GET", `${prefix}/status`, async (request, reply) => {
      const message = toBinary(CudaSharedMemoryStatusRequestSchema, create(CudaSharedMemoryStatusRequestSchema, { name: regionOf(request) }));
      const { regions: found } = fromBinary(CudaSharedMemoryStatusResponseSchema, await inference.askAny("CudaSharedMemoryStatus", message, callerOfRequest(request, reply)));
      return sendJson(reply, `[${Object.values(found).map((region) => messageToJson(CudaSharedMemoryStatusResponse_RegionStatusSchema, region)).join(",")}]`);
    });
    route(app, "POST", `${prefix}/unregister`, async (request, reply) => {
      const message = toBinary(CudaSharedMemoryUnregisterRequestSchema, create(CudaSharedMemoryUnregisterRequestSchema, { name: regionOf(request) }));
      await broadcast.ask("CudaSharedMemoryUnregister", message, callerOfRequest(request, reply));
      return reply.send();
    });
  }
  route(app, "POST", "/v2/cudasharedmemory/region/:region/register", async (request, reply) => {
    const { raw_handle: handle = {}, device_id: deviceId = 0, byte_size: byteSize } = jsonBodyOf(request);
    const { b64 = "" } = objectOf(handle, "raw_handle");
    if (typeof b64 !== "string") throw new StatusError("FIELD_INVALID", "raw_handle.b64 must be a text", { metadata: { field: "raw_handle" } });
    const message = create(CudaSharedMemoryRegisterRequestSchema, { name: regionOf(request), rawHandle: Buffer.from(b64, "base64"), deviceId: sizeOf(deviceId, "device_id"), byteSize: sizeOf(byteSize, "byte_size") });
    await inference.askAny("CudaSharedMemoryRegister", toBinary(CudaSharedMemoryRegisterRequestSchema, message), callerOfRequest(request, reply));
    return reply.send();
  });
}

function regionOf(request: FastifyRequest): string {
  const { region = "" } = request.params as { region?: string };
  return region;
}

function sizeOf(value: unknown, field: string): bigint {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  throw new StatusError("FIELD_INVALID", `${field} must be a whole number from 0 on`, { metadata: { field } });
}
