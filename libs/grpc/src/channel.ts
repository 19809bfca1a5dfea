// The seam between calls and the transport that carries them. Everything above it (typed clients, identity, tracing,
// retries) speaks of encoded messages and plain headers; below it are grpc-js, and a lean client on node:http2 for the one
// hop where grpc-js costs more than the rest together (docs/adr/0015-lean-channel-for-the-hop.md).

import type { Cancellation } from "./cancellation.ts";

/** Largest message either side takes unless told otherwise: as Triton's HTTP default. */
export const MESSAGE_BYTES_MAX = 64 * 1024 * 1024;
/** HTTP/2's default window of 64 KiB halves the rate of larger tensors. */
export const STREAM_WINDOW_BYTES = 1024 * 1024;
/** All streams of a connection together; one stalled stream must not stop the others. */
export const CONNECTION_WINDOW_BYTES = 8 * STREAM_WINDOW_BYTES;
/** A service that restarts is back within a second; waiting longer would only prolong the outage. */
export const RECONNECT_MS_MIN = 100;
export const RECONNECT_MS_MAX = 1_000;

/** What a channel needs to know. */
export interface ChannelOptions {
  /** The installation's token, for calls between services. */
  readonly token?: string | undefined;
  /** Largest answer taken. @default 64 MiB */
  readonly receiveBytesMax?: number | undefined;
  /** How long a call may take when it does not say. Absent = as long as it takes. */
  readonly timeoutMs?: number | undefined;
}

/** One call on its way out, besides its messages. */
export interface OutgoingCall {
  /** "/package.Service/Method". */
  readonly path: string;
  /** Request metadata, lower-case names; text only. */
  readonly headers: Readonly<Record<string, string>>;
  /** Epoch milliseconds at which the call ends; sent as grpc-timeout and enforced here too. */
  readonly deadlineMs: number | undefined;
  readonly signal: Cancellation | undefined;
}

/**
 * A connection that comes back by itself; many clients may share it. Calls made while there is no connection wait for the
 * attempt under way; between attempts they fail at once.
 */
export interface Channel {
  /** "host:port" or "unix:/path". */
  readonly address: string;
  readonly token: string | undefined;
  readonly timeoutMs: number | undefined;
  /**
   * One message for one message. What comes back may be a view of the transport's buffer: use it soon or copy it.
   *
   * @throws StatusError with the server's reason, `SERVICE_UNAVAILABLE` when the connection fails or ends
   */
  unary(call: OutgoingCall, request: Uint8Array): Promise<Uint8Array>;
  /**
   * Messages for messages, with the pressure of a slow reader passed back in both directions.
   *
   * @throws StatusError as `unary`, or what `requests` threw
   */
  stream(call: OutgoingCall, requests: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array>;
  /** Takes no more calls; open ones end by themselves. */
  close(): void;
}
