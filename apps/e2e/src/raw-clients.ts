// Clients that do what no library would: bytes as they are, over sockets.

import { connect as connectHttp2, constants, type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { once } from "node:events";

/** An address as host and port. */
export function hostAndPort(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

/** A connected socket whose errors are no news: hostile clients are hung up on. */
export async function openSocket(address: string): Promise<Socket> {
  const socket = connect(hostAndPort(address));
  await once(socket, "connect");
  socket.on("error", () => {});
  return socket;
}

/** Sends bytes over HTTP/1.1 and answers the status of the first response; undefined when the server hangs up without one. */
export async function rawHttpStatus(address: string, parts: Iterable<Uint8Array | string>, { halfClose = false } = {}): Promise<number | undefined> {
  const socket = await openSocket(address);
  const { promise, resolve } = Promise.withResolvers<number | undefined>();
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    const status = /^HTTP\/1\.1 (\d{3})/.exec(text);
    if (status !== null) resolve(Number(status[1]));
  });
  socket.on("close", () => resolve(undefined));
  for (const part of parts) {
    if (socket.destroyed) break;
    if (!socket.write(part)) await Promise.race([once(socket, "drain"), once(socket, "close")]).catch(() => undefined);
  }
  if (halfClose) socket.end();
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

/** An HTTP/2 session whose end is no news. */
export async function openHttp2(address: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://${address}`);
  session.on("error", () => {});
  await once(session, "connect");
  return session;
}

/** How a raw gRPC call ended. */
export interface RawGrpcEnd {
  /** The number of the gRPC status; undefined when the stream was reset without one. */
  readonly status: number | undefined;
  readonly message: string;
  /** The code of the reset, where there was one. */
  readonly resetCode: number;
}

/** One gRPC call whose body is taken as it is: prefix, flags and all. */
export async function rawGrpc(session: ClientHttp2Session, path: string, headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<RawGrpcEnd> {
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers", ...headers });
  const { promise, resolve } = Promise.withResolvers<RawGrpcEnd>();
  let status: number | undefined;
  let message = "";
  const read = (trailers: Record<string, unknown>): void => {
    if (trailers["grpc-status"] === undefined) return;
    status = Number(trailers["grpc-status"]);
    const text = trailers["grpc-message"];
    message = typeof text === "string" ? decodeURIComponent(text) : "";
  };
  stream.on("response", read);
  stream.on("trailers", read);
  stream.on("error", () => {});
  stream.on("close", () => resolve({ status, message, resetCode: stream.rstCode ?? constants.NGHTTP2_NO_ERROR }));
  stream.resume();
  stream.end(body);
  return promise;
}

/** A message with gRPC's prefix; the flag and the length may be others than the true ones. */
export function grpcFrame(message: Uint8Array, { flag = 0, length = message.length }: { flag?: number; length?: number } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}
