import type { Socket } from "node:net";

/** How long and how much a caller who was refused may go on sending before the connection is cut. */
const LINGER_MS = 1_000;
const LINGER_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Answers a request that could not even be read, and ends the connection. What the caller is still sending is read and
 * forgotten for a moment: a connection that is cut with unread bytes is reset, and a reset takes the answer with it (RFC
 * 9112, section 9.6).
 */
export function refuseConnection(socket: Socket, status: number, label: string, body: string): void {
  // The parser has given up; it must not see the rest.
  socket.removeAllListeners("data");
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  let bytes = 0;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes > LINGER_BYTES_MAX) socket.destroy();
  });
  socket.once("close", () => clearTimeout(timer));
  socket.end(`HTTP/1.1 ${status} ${label}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

/** Status line and message for an error of Node's HTTP parser. */
export function parserFailure(code: string | undefined): { readonly status: number; readonly label: string; readonly message: string } {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { status: 431, label: "Request Header Fields Too Large", message: "the request's headers are too large: send fewer or shorter ones" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, label: "Request Timeout", message: "the request did not arrive in time: send it again, faster" };
    default:
      return { status: 400, label: "Bad Request", message: "the bytes are no HTTP request" };
  }
}
