import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type DescMethodBiDiStreaming, type DescMethodClientStreaming, type DescMethodServerStreaming, type DescMethodUnary, type DescService, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { IDENTITY_METADATA, type Identity } from "@servable/auth";
import { StatusError } from "@servable/errors";
import { REQUEST_ID_KEY } from "./call-context.ts";
import type { Cancellation } from "./cancellation.ts";
import type { Channel, OutgoingCall } from "./channel.ts";
import { methodPath } from "./service.ts";
import { UNTRACED, startClientSpan, type CallSpan } from "./tracing.ts";

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: Cancellation | undefined;
  /** How long the call may take; absent = as long as the channel's default says. */
  readonly timeoutMs?: number | undefined;
  /** Absolute end of the call; wins over `timeoutMs` when earlier. */
  readonly deadline?: Date | undefined;
  /** On whose behalf the call is made, behind the gateway. */
  readonly identity?: Identity | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly requestId?: string | undefined;
}

/** What a header may hold. Source: gRPC over HTTP/2, ASCII-Value. */
const HEADER_TEXT = /^[\x20-\x7e]*$/;

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
  let call: ReturnType<typeof outgoingCall>;
  try {
    call = outgoingCall(channel, path, options);
  } catch (error) {
    return Promise.reject(StatusError.from(error));
  }
  const span = startClientSpan(path, call.headers);
  const answer = channel.unary(call, request);
  return span === UNTRACED ? answer : traced(answer, span);
}

async function traced(answer: Promise<Uint8Array>, span: CallSpan): Promise<Uint8Array> {
  let code = "OK";
  try {
    return await answer;
  } catch (error) {
    code = StatusError.from(error).code;
    throw error;
  } finally {
    span.end(code);
  }
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
  const call = outgoingCall(channel, path, options);
  const span = startClientSpan(path, call.headers);
  let code = "CANCELLED";
  try {
    yield* channel.stream(call, requests);
    code = "OK";
  } catch (error) {
    code = StatusError.from(error).code;
    throw error;
  } finally {
    span.end(code);
  }
}

/** A call with token, identity, request id, own metadata and deadline; its headers may be added to. */
export function outgoingCall(channel: Channel, path: string, options: CallOptions): OutgoingCall & { readonly headers: Record<string, string> } {
  const headers: Record<string, string> = {};
  if (channel.token !== undefined) headers[IDENTITY_METADATA.token] = channel.token;
  const { identity, requestId, metadata } = options;
  if (identity !== undefined) {
    headers[IDENTITY_METADATA.project] = identity.project;
    headers[IDENTITY_METADATA.principal] = identity.principal;
    headers[IDENTITY_METADATA.role] = identity.role;
  }
  // The id is the caller's own text: one that no wire carries is left behind.
  if (requestId !== undefined && HEADER_TEXT.test(requestId)) headers[REQUEST_ID_KEY] = requestId;
  for (const [key, value] of metadata === undefined ? [] : Object.entries(metadata)) {
    if (!HEADER_TEXT.test(value)) throw new StatusError("FIELD_INVALID", `the metadata ${key} has characters that headers must not have`, { metadata: { field: key } });
    headers[key.toLowerCase()] = value;
  }
  return { path, headers, deadlineMs: deadlineOf(channel, options), signal: options.signal };
}

/** The earlier of the absolute and the relative end. */
function deadlineOf(channel: Channel, { deadline, timeoutMs = channel.timeoutMs }: CallOptions): number | undefined {
  const absolute = deadline?.getTime();
  if (timeoutMs === undefined) return absolute;
  const relative = Date.now() + timeoutMs;
  return absolute === undefined ? relative : Math.min(absolute, relative);
}
