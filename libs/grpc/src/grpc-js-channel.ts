import { Client as GrpcClient, Metadata, credentials, type ChannelOptions as GrpcChannelOptions, type ServiceError } from "@grpc/grpc-js";
import { StatusError } from "@servable/errors";
import { MESSAGE_BYTES_MAX, RECONNECT_MS_MAX, RECONNECT_MS_MIN, STREAM_WINDOW_BYTES, type Channel, type ChannelOptions, type OutgoingCall } from "./channel.ts";
import type { Cancellation } from "./cancellation.ts";
import { fromGrpcError } from "./status.ts";
import { startUpload } from "./upload.ts";

/** A channel over grpc-js. */
export interface GrpcJsChannel extends Channel {
  /** The client beneath. */
  readonly client: GrpcClient;
}

/** Transport settings that client and server share. */
export function transportOptions(receiveBytesMax: number = MESSAGE_BYTES_MAX): GrpcChannelOptions {
  return {
    "grpc.max_receive_message_length": receiveBytesMax,
    "grpc.max_send_message_length": -1,
    "grpc-node.flow_control_window": STREAM_WINDOW_BYTES,
  };
}

/** Opens a channel to "host:port" or "unix:/path"; it connects with the first call. */
export function createChannel(address: string, options: ChannelOptions = {}): GrpcJsChannel {
  const client = new GrpcClient(address, credentials.createInsecure(), {
    ...transportOptions(options.receiveBytesMax),
    "grpc.initial_reconnect_backoff_ms": RECONNECT_MS_MIN,
    "grpc.min_reconnect_backoff_ms": RECONNECT_MS_MIN,
    "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
    "grpc.enable_retries": 0,
    // Nobody reads channelz, and it counts every message. (A server without it forgets to end its sessions at shutdown.)
    "grpc.enable_channelz": 0,
    "grpc.service_config_disable_resolution": 1,
    // Channels to a unix socket that was replaced must not share a dead subchannel.
    "grpc.use_local_subchannel_pool": 1,
  });
  let closed = false;
  return {
    address,
    token: options.token,
    timeoutMs: options.timeoutMs,
    client,
    unary: (call, request) => (closed ? Promise.reject(channelClosed()) : unary(client, call, request)),
    stream: (call, requests) => stream(client, call, requests, () => closed),
    close() {
      closed = true;
      client.close();
    },
  };
}

/** The error of a call on a channel that was closed. */
export function channelClosed(): StatusError {
  return new StatusError("SERVICE_UNAVAILABLE", "the connection of this call was closed");
}

function unary(client: GrpcClient, { path, headers, deadlineMs, signal }: OutgoingCall, request: Uint8Array): Promise<Uint8Array> {
  if (signal?.aborted === true) return Promise.reject(StatusError.from(signal.reason));
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const call = client.makeUnaryRequest<Uint8Array, Buffer>(path, asBuffer, identity, request, metadataFrom(headers), deadlineOption(deadlineMs), (error, answer) => {
    signal?.removeEventListener("abort", cancel);
    if (error === null) resolve(answer ?? new Uint8Array());
    else reject(failureOf(error, signal));
  });
  const cancel = (): void => call.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  return promise;
}

async function* stream(client: GrpcClient, { path, headers, deadlineMs, signal }: OutgoingCall, requests: AsyncIterable<Uint8Array>, isClosed: () => boolean): AsyncGenerator<Uint8Array> {
  if (isClosed()) throw channelClosed();
  if (signal?.aborted === true) throw StatusError.from(signal.reason);
  // On the wire all four kinds are one: messages up, messages down, a status.
  const call = client.makeBidiStreamRequest<Uint8Array, Buffer>(path, asBuffer, identity, metadataFrom(headers), deadlineOption(deadlineMs));
  const cancel = (): void => call.cancel();
  signal?.addEventListener("abort", cancel, { once: true });

  let uploadFailure: unknown;
  const stopUpload = startUpload(requests, {
    write: (message) => call.write(message),
    drained: () =>
      new Promise((resolve) => {
        const done = (): void => {
          for (const event of ["drain", "close", "status", "error"]) call.off(event, done);
          resolve();
        };
        for (const event of ["drain", "close", "status", "error"]) call.on(event, done);
      }),
    end: () => call.end(),
    fail(error) {
      uploadFailure = error;
      call.cancel();
    },
  });
  let completed = false;
  try {
    for await (const bytes of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) yield bytes;
    completed = true;
  } catch (error) {
    throw uploadFailure === undefined ? failureOf(error, signal) : StatusError.from(uploadFailure);
  } finally {
    stopUpload();
    signal?.removeEventListener("abort", cancel);
    if (!completed) {
      // Cancelling raises an error event on the call; its loop is gone, so nobody else would take it.
      call.on("error", () => {});
      call.cancel();
    }
  }
}

function failureOf(error: unknown, signal: Cancellation | undefined): StatusError {
  if (signal?.aborted === true) return StatusError.from(signal.reason);
  if (error instanceof Error && "code" in error && "details" in error) return fromGrpcError(error as ServiceError);
  return StatusError.from(error);
}

/** Headers in grpc-js's form. */
export function metadataFrom(headers: Readonly<Record<string, string>>): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  return metadata;
}

/** A deadline in grpc-js's form. */
export function deadlineOption(deadlineMs: number | undefined): { deadline?: number } {
  return deadlineMs === undefined ? {} : { deadline: deadlineMs };
}

/** Serialiser of bytes: a view, not a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Deserialiser of bytes. */
export function identity(bytes: Buffer): Buffer {
  return bytes;
}
