import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, status as GrpcStatus, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "@servable/contracts/google/rpc/error_details";
import { StatusSchema } from "@servable/contracts/google/rpc/status";
import { REASONS, StatusError, type Reason, type StatusCode } from "@servable/errors";

const DETAILS_KEY = "grpc-status-details-bin";
const DOMAIN = "servable.dev";

/** The reason of an error that came without one of ours: of another server, or of the transport itself. */
const FOREIGN_REASONS: Readonly<Record<StatusCode, Reason>> = {
  CANCELLED: "CANCELLED",
  UNKNOWN: "INTERNAL",
  INVALID_ARGUMENT: "FIELD_INVALID",
  DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  NOT_FOUND: "ROUTE_UNKNOWN",
  ALREADY_EXISTS: "ALREADY_EXISTS",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  RESOURCE_EXHAUSTED: "MESSAGE_TOO_LARGE",
  FAILED_PRECONDITION: "STATE_WRONG",
  ABORTED: "ETAG_MISMATCH",
  OUT_OF_RANGE: "OFFSET_OUT_OF_RANGE",
  UNIMPLEMENTED: "METHOD_UNKNOWN",
  INTERNAL: "INTERNAL",
  UNAVAILABLE: "SERVICE_UNAVAILABLE",
  DATA_LOSS: "ARTIFACT_CORRUPT",
  UNAUTHENTICATED: "API_KEY_INVALID",
};

/** The gRPC status of an error: code, message and one ErrorInfo in the standard details trailer. */
export function toGrpcStatus(error: StatusError): StatusObject {
  const metadata = new Metadata();
  const info = create(ErrorInfoSchema, { reason: error.reason, domain: DOMAIN, metadata: { ...error.metadata } });
  const details = create(StatusSchema, { code: GrpcStatus[error.code], message: error.message, details: [anyPack(ErrorInfoSchema, info)] });
  metadata.set(DETAILS_KEY, Buffer.from(toBinary(StatusSchema, details)));
  return { code: GrpcStatus[error.code], details: error.message, metadata };
}

/**
 * The error that a call ended with, as the server meant it: reason and metadata out of its ErrorInfo. A status without one
 * gets the reason that fits its code; what the transport says of addresses stays in `cause`.
 */
export function fromGrpcError(error: ServiceError): StatusError {
  const code = (GrpcStatus[error.code] ?? "UNKNOWN") as StatusCode;
  const info = errorInfoOf(error);
  if (info !== undefined && info.reason in REASONS) {
    return new StatusError(info.reason as Reason, error.details, { metadata: info.metadata, code, cause: error });
  }
  if (code === "UNAVAILABLE" && /connection|ECONN|ENOENT|resolution|GOAWAY|transport|drop/i.test(error.details)) {
    return new StatusError("SERVICE_UNAVAILABLE", "a service that this call needs does not answer: try again shortly", { cause: error });
  }
  return new StatusError(FOREIGN_REASONS[code], error.details, { code, cause: error });
}

function errorInfoOf(error: ServiceError): { reason: string; metadata: Record<string, string> } | undefined {
  const bytes = error.metadata?.get(DETAILS_KEY)[0];
  if (!(bytes instanceof Uint8Array)) return undefined;
  try {
    for (const detail of fromBinary(StatusSchema, bytes).details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info !== undefined) return { reason: info.reason, metadata: info.metadata };
    }
  } catch {
    // Details of a foreign server may be anything; code and message still tell what happened.
  }
  return undefined;
}
