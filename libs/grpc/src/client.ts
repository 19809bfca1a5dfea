import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type DescMethodBiDiStreaming, type DescMethodClientStreaming, type DescMethodServerStreaming, type DescMethodUnary, type DescService, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { Metadata, type CallOptions as GrpcCallOptions, type ServiceError } from "@grpc/grpc-js";
import { IDENTITY_METADATA, identityToMetadata, type Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { REQUEST_ID_KEY } from "./call-context.ts";
import type { Channel } from "./channel.ts";
import { methodPath } from "./service.ts";
import { fromGrpcError } from "./status.ts";
import { startClientSpan } from "./tracing.ts";

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** How long the call may take; absent = as long as the channel's default says. */
  readonly timeoutMs?: number | undefined;
  /** Absolute end of the call; wins over `timeoutMs` when earlier. */
  readonly deadline?: Date | undefined;
  /** On whose behalf the call is made, behind the gateway. */
  readonly identity?: Identity | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly requestId?: string | undefined;
}

type MethodCall<M extends DescMethod> =
  M extends DescMethodUnary<infer I, infer O>
    ? (request: MessageInitShape<I>, options?: CallOptions) => Promise<MessageShape<O>>
    : M extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageInitShape<I>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
      : M extends DescMethodClientStreaming<infer I, infer O>
        ? (requests: AsyncIterable<MessageInitShape<I>> | Iterable<MessageInitShape<I>>, options?: CallOptions) => Promise<MessageShape<O>>
        : M extends DescMethodBiDiStreaming<infer I, infer O>
          ? (requests: AsyncIterable<MessageInitShape<I>> | Iterable<MessageInitShape<I>>, options?: CallOptions) => AsyncIterable<MessageShape<O>>
          : never;

/** A typed client: one function a method. Failed calls throw StatusError with the server's reason. */
export type Client<S extends DescService> = { [K in keyof S["method"]]: MethodCall<S["method"][K]> };

/** A client of a service over a channel; `defaults` hold for every call. */
export function createClient<S extends DescService>(service: S, channel: Channel, defaults: Omit<CallOptions, "signal" | "deadline"> = {}): Client<S> {
  const methods: Record<string, unknown> = {};
  for (const method of service.methods) {
    const streamsIn = method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
    const streamsOut = method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
    methods[method.localName] = (request: unknown, options: CallOptions = {}): unknown => {
      const merged = { ...defaults, ...options };
      const requests = streamsIn ? (request as AsyncIterable<unknown>) : [request];
      if (method.methodKind === "unary") {
        return rawUnary(channel, methodPath(method), toBinary(method.input, create(method.input, request as never)), merged).then((bytes) => fromBinary(method.output, bytes));
      }
      const answers = stream(channel, method, requests, merged);
      return streamsOut ? answers : single(answers, method);
    };
  }
  return methods as Client<S>;
}

async function single(answers: AsyncIterable<unknown>, method: DescMethod): Promise<unknown> {
  let found: unknown;
  for await (const answer of answers) found = answer;
  if (found === undefined) throw new StatusError("INTERNAL", `${method.name} ended without an answer`);
  return found;
}

/**
 * One unary call with bytes in and out: the path of whoever forwards without decoding.
 *
 * @throws StatusError with the server's reason
 */
export function rawUnary(channel: Channel, path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
  const metadata = metadataOf(channel, options);
  const span = startClientSpan(path, metadata);
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const call = channel.client.makeUnaryRequest<Uint8Array, Buffer>(path, asBuffer, identity, request, metadata, grpcOptions(channel, options), (error, answer) => {
    options.signal?.removeEventListener("abort", cancel);
    if (error === null) {
      span.end("OK");
      resolve(answer ?? new Uint8Array());
    } else {
      const failure = failureOf(error, options.signal);
      span.end(failure.code);
      reject(failure);
    }
  });
  const cancel = (): void => call.cancel();
  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener("abort", cancel, { once: true });
  return promise;
}

async function* stream(channel: Channel, method: DescMethod & { input: DescMessage; output: DescMessage }, requests: AsyncIterable<unknown> | Iterable<unknown>, options: CallOptions): AsyncGenerator<unknown> {
  const encoded = async function* (): AsyncGenerator<Uint8Array> {
    for await (const request of requests) yield toBinary(method.input, create(method.input, request as never));
  };
  for await (const bytes of rawStream(channel, methodPath(method), encoded(), options)) yield fromBinary(method.output, bytes);
}

/**
 * One streaming call of any kind with bytes in and out.
 *
 * @throws StatusError with the server's reason, or what `requests` threw
 */
export async function* rawStream(channel: Channel, path: string, requests: AsyncIterable<Uint8Array>, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
  const metadata = metadataOf(channel, options);
  const span = startClientSpan(path, metadata);
  // On the wire all four kinds are one: messages up, messages down, a status.
  const call = channel.client.makeBidiStreamRequest<Uint8Array, Buffer>(path, asBuffer, identity, metadata, grpcOptions(channel, options));
  const cancel = (): void => call.cancel();
  if (options.signal?.aborted === true) cancel();
  else options.signal?.addEventListener("abort", cancel, { once: true });

  let ended = false;
  let uploadFailure: unknown;
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        for (const event of ["drain", "close", "status", "error"]) call.off(event, done);
        resolve();
      };
      for (const event of ["drain", "close", "status", "error"]) call.on(event, done);
    });
  const upload = async (): Promise<void> => {
    try {
      for await (const request of requests) {
        if (ended) return;
        if (!call.write(request)) await drained();
      }
      call.end();
    } catch (error) {
      uploadFailure = error;
      call.cancel();
    }
  };
  const uploading = upload();
  let code = "CANCELLED";
  try {
    for await (const bytes of call.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) yield bytes;
    code = "OK";
  } catch (error) {
    if (uploadFailure !== undefined) throw StatusError.from(uploadFailure);
    const failure = failureOf(error, options.signal);
    code = failure.code;
    throw failure;
  } finally {
    ended = true;
    options.signal?.removeEventListener("abort", cancel);
    if (code !== "OK") {
      // Cancelling raises an error event on the call; its loop is gone, so nobody else would take it.
      call.on("error", () => {});
      call.cancel();
    }
    span.end(code);
    if (code === "OK") await uploading;
  }
}

function failureOf(error: unknown, signal: AbortSignal | undefined): StatusError {
  if (signal?.aborted === true) return StatusError.from(signal.reason);
  if (error instanceof Error && "code" in error && "details" in error) return fromGrpcError(error as ServiceError);
  return StatusError.from(error);
}

/** Token, identity, request id and own metadata of an outgoing call. */
export function metadataOf(channel: Channel, options: CallOptions): Metadata {
  const metadata = new Metadata();
  if (channel.token !== undefined) metadata.set(IDENTITY_METADATA.token, channel.token);
  if (options.identity !== undefined) for (const [key, value] of Object.entries(identityToMetadata(options.identity))) metadata.set(key, value);
  if (options.requestId !== undefined) metadata.set(REQUEST_ID_KEY, options.requestId);
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

/** Deadline of an outgoing call in grpc-js's form. */
export function grpcOptions(channel: Channel, options: CallOptions): GrpcCallOptions {
  const timeoutMs = options.timeoutMs ?? channel.timeoutMs;
  const ends = [options.deadline?.getTime(), timeoutMs === undefined ? undefined : Date.now() + timeoutMs].filter((time) => time !== undefined);
  return ends.length === 0 ? {} : { deadline: Math.min(...ends) };
}

/** Serialiser of bytes: a view, not a copy. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Deserialiser of bytes. */
export function identity(bytes: Buffer): Buffer {
  return bytes;
}
