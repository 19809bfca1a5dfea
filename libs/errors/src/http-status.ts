import type { StatusCode } from "./reasons.ts";

const HTTP_STATUS: Readonly<Record<StatusCode, number>> = {
  CANCELLED: 499,
  UNKNOWN: 500,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  OUT_OF_RANGE: 400,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  DATA_LOSS: 500,
  UNAUTHENTICATED: 401,
};

/** The HTTP status of a gRPC status, as google/rpc/code.proto maps them. MESSAGE_TOO_LARGE alone is 413, see `httpStatusOf`. */
export function httpStatusOf(error: { readonly code: StatusCode; readonly reason: string }): number {
  if (error.reason === "MESSAGE_TOO_LARGE" || error.reason === "ARTIFACT_TOO_LARGE" || error.reason === "DATASET_TOO_LARGE") return 413;
  if (error.reason === "HTTP_METHOD_WRONG") return 405;
  return HTTP_STATUS[error.code];
}

/** Process exit codes, after sysexits.h: 64 wrong usage, 69 something needed is unavailable, 70 a defect, 78 configuration. */
export function exitCodeOf(error: { readonly code: StatusCode; readonly reason: string }): number {
  switch (error.reason) {
    case "CONFIG_INVALID":
    case "DATA_DIR_NEWER":
    case "DATA_DIR_UNUSABLE":
      return 78;
    case "PORT_IN_USE":
    case "DATA_DIR_IN_USE":
    case "SERVICE_UNAVAILABLE":
    case "DATABASE_UNAVAILABLE":
      return 69;
    case "INTERNAL":
      return 70;
    default:
      return 1;
  }
}
