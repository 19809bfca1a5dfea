import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, status as GrpcStatus, type ServiceError, type StatusObject } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "@servable/contracts/google/rpc/error_details";
import { StatusSchema } from "@servable/contracts/google/rpc/status";
import { REASONS, StatusError, shortened, type Reason, type StatusCode } from "@servable/errors";

/** Where the details travel. */
export const DETAILS_KEY = "grpc-status-details-bin";
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

/**
 * The message travels twice in the trailers, once percent-encoded and once in the details. Clients of gRPC's C core refuse
 * trailers beyond 8 KiB, and larger ones than 64 KiB end the connection with every other call on it.
 */
const MESSAGE_BYTES_ENCODED_MAX = 2_000;
const METADATA_ENTRIES_MAX = 8;
const METADATA_CHARACTERS_MAX = 256;

/** The gRPC status of an error: code, message and one ErrorInfo in the standard details trailer. */
export function toGrpcStatus(error: StatusError): StatusObject {
  const metadata = new Metadata();
  const message = fitting(error.message);
  const facts = Object.entries(error.metadata).slice(0, METADATA_ENTRIES_MAX);
  const info = create(ErrorInfoSchema, { reason: error.reason, domain: DOMAIN, metadata: Object.fromEntries(facts.map(([key, value]) => [key, shortened(value, METADATA_CHARACTERS_MAX).toWellFormed()])) });
  const details = create(StatusSchema, { code: GrpcStatus[error.code], message, details: [anyPack(ErrorInfoSchema, info)] });
  metadata.set(DETAILS_KEY, Buffer.from(toBinary(StatusSchema, details)));
  return { code: GrpcStatus[error.code], details: message, metadata };
}

/** The text, shortened until its percent-encoded form fits. */
function fitting(text: string): string {
  let fits = text.toWellFormed();
  for (let charactersMax = MESSAGE_BYTES_ENCODED_MAX; encodeURI(fits).length > MESSAGE_BYTES_ENCODED_MAX; charactersMax /= 2) fits = shortened(fits, charactersMax);
  return fits;
}

/** The error that a grpc-js call ended with, as the server meant it. */
export function fromGrpcError(error: ServiceError): StatusError {
  const details = error.metadata?.get(DETAILS_KEY)[0];
  return statusErrorOf(error.code, error.details, details instanceof Uint8Array ? details : undefined, error);
}

/**
 * A status that came over the wire as an error: reason and metadata out of its ErrorInfo. A status without one gets the
 * reason that fits its code; what the transport says of addresses stays in `cause`.
 */
export function statusErrorOf(code: number, message: string, details: Uint8Array | undefined, cause?: unknown): StatusError {
  const name = (GrpcStatus[code] ?? "UNKNOWN") as StatusCode;
  const info = details === undefined ? undefined : errorInfoIn(details);
  if (info !== undefined && info.reason in REASONS) {
    return new StatusError(info.reason as Reason, message, { metadata: info.metadata, code: name, cause });
  }
  // grpc-js tells addresses and stages with it.
  if (name === "DEADLINE_EXCEEDED") return new StatusError("DEADLINE_EXCEEDED", "the call took longer than its deadline allows", { cause: cause ?? message });
  if (name === "UNAVAILABLE" && /connection|ECONN|ENOENT|resolution|GOAWAY|transport|drop/i.test(message)) {
    return unreachable(cause ?? message);
  }
  return new StatusError(FOREIGN_REASONS[name], message, { code: name, cause });
}

/** The error of a call whose connection failed or ended. */
export function unreachable(cause: unknown): StatusError {
  return new StatusError("SERVICE_UNAVAILABLE", "a service that this call needs does not answer: try again shortly", { cause });
}

function errorInfoIn(bytes: Uint8Array): { reason: string; metadata: Record<string, string> } | undefined {
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
