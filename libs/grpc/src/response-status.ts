// How a call over HTTP/2 ended, as a StatusError: its grpc-status, or what the transport says where there is none.
// Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and doc/http-grpc-status-mapping.md

import { constants, type IncomingHttpHeaders } from "node:http2";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { StatusError } from "@servable/errors";
import { DETAILS_KEY, statusErrorOf, unreachable } from "./status.ts";

/** HTTP statuses of answers that are not gRPC, of proxies mostly. */
const HTTP_STATUSES: Readonly<Record<number, number>> = {
  400: GrpcStatus.INTERNAL,
  401: GrpcStatus.UNAUTHENTICATED,
  403: GrpcStatus.PERMISSION_DENIED,
  404: GrpcStatus.UNIMPLEMENTED,
  429: GrpcStatus.UNAVAILABLE,
  502: GrpcStatus.UNAVAILABLE,
  503: GrpcStatus.UNAVAILABLE,
  504: GrpcStatus.UNAVAILABLE,
};

/** The error in trailers (or in headers, where an answer has nothing else); undefined = OK. */
export function statusOfTrailers(trailers: IncomingHttpHeaders): StatusError | undefined {
  const sent = trailers["grpc-status"];
  const code: number = typeof sent === "string" && /^\d{1,2}$/.test(sent) ? Number(sent)   : GrpcStatus.UNKNOWN;
  if (code === 0) return undefined;
  return statusErrorOf(code, decodeMessage(textOf(trailers["grpc-message"])), detailsOf(trailers[DETAILS_KEY]));
}

/** The error of an answer that never was gRPC; undefined when it is. */
export function statusOfHttp(headers: IncomingHttpHeaders): StatusError | undefined {
  const httpStatus = Number(headers[constants.HTTP2_HEADER_STATUS]);
  const contentType = headers["content-type"] ?? "";
  if (httpStatus === 200 && contentType.startsWith("application/grpc")) return undefined;
  if ("grpc-status" in headers) return undefined;
  const code = HTTP_STATUSES[httpStatus] ?? GrpcStatus.UNKNOWN;
  return statusErrorOf(code, `the answer is HTTP ${httpStatus} with content type "${contentType.slice(0, 100)}", not gRPC`, undefined);
}

/** The error of a call that ended without a status. `connected` tells whether its connection lives on. */
export function statusOfReset(rstCode: number, connected: boolean, cause: unknown): StatusError {
  if (!connected) return unreachable(cause ?? `the connection ended (HTTP/2 code ${rstCode})`);
  switch (rstCode) {
    case constants.NGHTTP2_REFUSED_STREAM:
      return unreachable(cause ?? "the server refused the stream");
    case constants.NGHTTP2_CANCEL:
      return new StatusError("CANCELLED", "the server cancelled the call", { cause });
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return new StatusError("QUEUE_FULL", "the server takes no more: call again later", { cause });
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return new StatusError("PERMISSION_DENIED", "the server asks for a securer connection", { cause });
    default:
      return new StatusError("INTERNAL", `the server ended the call without a status (HTTP/2 code ${rstCode})`, { cause });
  }
}

/** Percent-decoding that leaves alone what is not encoded rightly: an error's text must never become another error. */
export function decodeMessage(text: string): string {
  if (!text.includes("%")) return text;
  const source = Buffer.from(text, "latin1");
  const bytes: number[] = [];
  for (let index = 0; index < source.length; index += 1) {
    const pair = source[index] === 0x25 ? source.toString("latin1", index + 1, index + 3) : "";
    if (/^[0-9a-fA-F]{2}$/.test(pair)) {
      bytes.push(Number.parseInt(pair, 16));
      index += 2;
    } else bytes.push(source[index] ?? 0);
  }
  return Buffer.from(bytes).toString("utf8");
}

function textOf(value: string | string[] | undefined): string {
  return typeof value === "string" ? value : (value?.[0] ?? "");
}

/** Binary headers are base64, with or without padding; of several joined ones the first counts. */
function detailsOf(value: string | string[] | undefined): Uint8Array | undefined {
  const [first = ""] = textOf(value).split(",");
  return first === "" ? undefined : Buffer.from(first, "base64");
}
