// An HTTP/2 server whose answers a test writes frame by frame: what a well-behaved gRPC server never does can be tried too.

import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";

export const OK = { "grpc-status": "0" };
export const GRPC = { ":status": 200, "content-type": "application/grpc" };

export type Answer = (stream: ServerHttp2Stream, headers: Record<string, string>, body: Promise<Buffer>) => void | Promise<void>;

/** A server with one answer for each path. */
export class RawServer implements AsyncDisposable {
  readonly answers = new Map<string, Answer>();
  readonly sessions: ServerHttp2Session[] = [];
  readonly sockets: Socket[] = [];
  readonly resets: number[] = [];
  #server: Http2Server;
  address = "";

  constructor() {
    this.#server = createServer();
  }

  async listen(path?: string, port = 0): Promise<this> {
    this.#server = createServer();
    this.#server.on("session", (session) => this.sessions.push(session));
    this.#server.on("connection", (socket: Socket) => this.sockets.push(socket));
    this.#server.on("stream", (stream: ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = [];
      const body = new Promise<Buffer>((resolve) => {
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => resolve(Buffer.concat(chunks)));
      });
      stream.on("error", () => {});
      stream.on("close", () => this.resets.push(stream.rstCode));
      void this.answers.get(headers[":path"] ?? "")?.(stream, headers as Record<string, string>, body);
    });
    await new Promise<void>((resolve) => (path === undefined ? this.#server.listen(port, "127.0.0.1", resolve) : this.#server.listen(path, resolve)));
    this.address = path === undefined ? `127.0.0.1:${(this.#server.address() as AddressInfo).port}` : `unix:${path}`;
    return this;
  }

  /** Ends every connection without a word, as a killed process does. */
  die(): void {
    for (const socket of this.sockets.splice(0)) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.die();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Messages as gRPC frames them. */
export function framed(...messages: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    messages.map((message) => {
      const bytes = Buffer.from(message);
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(bytes.length, 1);
      return Buffer.concat([prefix, bytes]);
    }),
  );
}

/** The usual answer. */
export function answerWith(body: Buffer, trailers: Record<string, string | Buffer> = OK): Answer {
  return (stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(trailers as Record<string, string>));
    stream.end(body);
  };
}
